// An aggregate whose elements are still arriving. RESPDecoder keeps a stack of these instead of calling itself.

/// What an aggregate becomes when its last element is there.
enum RESPAggregate {
    case array
    case map
    case push
    /// Says something about the value behind it. Nobody asks for that: dropped.
    case attribute
}

/// An array, map or push with the elements that are missing.
struct RESPFrame {
    let kind: RESPAggregate
    private(set) var missing: Int
    private var elements: [RESPValue] = []

    /// - Parameter count: Elements, for maps keys and values together; at least one.
    init(_ kind: RESPAggregate, count: Int) {
        self.kind = kind
        missing = count
        elements.reserveCapacity(min(count, RedisLimits.reservedElements))
    }

    mutating func append(_ value: RESPValue) {
        elements.append(value)
        missing -= 1
    }

    /// The whole value; nil if it says only something about another.
    var value: RESPValue? { RESPFrame.value(kind, elements) }

    static func value(_ kind: RESPAggregate, _ elements: [RESPValue]) -> RESPValue? {
        switch kind {
        case .array: .array(elements)
        case .map: .map(RESPPair.pairs(of: elements))
        case .push: .push(elements)
        case .attribute: nil
        }
    }
}
