// An aggregate whose elements are still arriving. RESPDecoder keeps a stack of these, so nesting costs no recursion.

/// The kinds of aggregates.
enum RESPAggregate {
    case array
    case map
    case push
    /// Facts about the value that follows. The client needs none of them and drops them.
    case attribute
}

/// An aggregate that is not complete yet.
struct RESPFrame {
    let kind: RESPAggregate
    /// How many elements have not arrived.
    private(set) var missing: Int
    private var elements: [RESPValue] = []

    /// - Parameter count: How many elements it will have, for maps keys and values together; at least one.
    init(_ kind: RESPAggregate, count: Int) {
        self.kind = kind
        missing = count
        elements.reserveCapacity(min(count, RedisClientLimits.reservedElements))
    }

    mutating func append(_ value: RESPValue) {
        elements.append(value)
        missing -= 1
    }

    /// The complete value; nil for an attribute.
    var value: RESPValue? { RESPFrame.value(kind, elements) }

    /// The value of a complete aggregate; nil for an attribute.
    static func value(_ kind: RESPAggregate, _ elements: [RESPValue]) -> RESPValue? {
        switch kind {
        case .array: .array(elements)
        case .map: .map(RESPPair.pairs(of: elements))
        case .push: .push(elements)
        case .attribute: nil
        }
    }
}
