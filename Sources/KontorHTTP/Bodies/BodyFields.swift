// Reads the members of a body: ids, units, money. A refusal says by a JSON pointer (RFC 6901) which value it is about.

import KontorCore
import KontorService

/// The members of one object that are not read yet.
struct BodyFields {
    /// Where an object is in a body. It becomes a pointer only if something is wrong there.
    private enum Place {
        case body
        /// An element of the array that a member of the body is.
        case element(of: String, index: Int)

        var pointer: String {
            switch self {
            case .body: ""
            case .element(let name, let index): "/\(name)/\(index)"
            }
        }
    }

    private var members: [JSONInput.Member]
    private let place: Place

    /// - Throws: a problem if the value, a whole body, is no object.
    init(_ value: JSONInput) throws(Problem) { try self.init(value, at: .body) }

    private init(_ value: JSONInput, at place: Place) throws(Problem) {
        guard case .object(let members) = value else {
            throw .invalid("An object is expected, and \(value.kind) stands here", at: place.pointer)
        }
        self.members = members
        self.place = place
    }

    /// Refuses what nobody has read: a member that is not known, so that a typo is no silent default.
    func end() throws(Problem) {
        guard let left = members.first else { return }
        throw .invalid("There is no such member here", at: pointer(left.name))
    }

    private func pointer(_ name: String) -> String {
        place.pointer + "/" + name.replacing("~", with: "~0").replacing("/", with: "~1")
    }

    /// A member's value, or nil if there is none.
    private mutating func take(_ name: String) -> JSONInput? {
        guard let index = members.firstIndex(where: { $0.name == name }) else { return nil }
        return members.remove(at: index).value
    }

    private mutating func require(_ name: String) throws(Problem) -> JSONInput {
        if let value = take(name) { return value }
        throw .invalid("This member is missing", at: pointer(name))
    }

    // MARK: Values

    mutating func identifier(_ name: String) throws(Problem) -> Identifier {
        let value = try require(name)
        if case .string(let text) = value, let id = Identifier(text) { return id }
        throw .invalid(
            "An id is a string of 1 to \(Limits.identifierBytes) characters of A-Z a-z 0-9 _ . ~ -", at: pointer(name))
    }

    /// A whole number.
    mutating func integer(_ name: String, in bounds: ClosedRange<Int64>) throws(Problem) -> Int64 {
        try integer(try require(name), name, bounds)
    }

    /// The same, or `fallback` if there is no such member.
    mutating func integer(_ name: String, in bounds: ClosedRange<Int64>, default fallback: Int64) throws(Problem) -> Int64 {
        guard let value = take(name) else { return fallback }
        return try integer(value, name, bounds)
    }

    private func integer(_ value: JSONInput, _ name: String, _ bounds: ClosedRange<Int64>) throws(Problem) -> Int64 {
        if case .number(let text) = value, let number = Int64(text) ?? JSONInput.plain(text).flatMap({ Int64($0) }),
            bounds.contains(number)
        {
            return number
        }
        throw .invalid("A whole number from \(bounds.lowerBound) to \(bounds.upperBound) is expected", at: pointer(name))
    }

    /// Money, 0 or more.
    mutating func money(_ name: String) throws(Problem) -> Amount { try money(try require(name), name, isSigned: false) }

    /// The same, or nothing if there is no such member.
    mutating func moneyOrNone(_ name: String) throws(Problem) -> Amount {
        guard let value = take(name) else { return .zero }
        return try money(value, name, isSigned: false)
    }

    /// Money that is put in, or with a minus taken out; not 0.
    mutating func change(_ name: String) throws(Problem) -> Amount {
        let amount = try money(try require(name), name, isSigned: true)
        if amount != .zero { return amount }
        throw .invalid("The amount is zero, which changes nothing", at: pointer(name))
    }

    private func money(_ value: JSONInput, _ name: String, isSigned: Bool) throws(Problem) -> Amount {
        switch value {
        case .number(let number), .string(let number):
            let text = if case .number = value { JSONInput.plain(number) ?? "" } else { number }
            let isNegative = isSigned && text.utf8.first == UInt8(ascii: "-")
            let digits = isNegative ? text.dropFirst() : text[...]
            let fraction = digits.utf8.split(separator: UInt8(ascii: "."), maxSplits: 1).dropFirst().first
            if let amount = Amount.money(digits), (fraction?.count ?? 0) <= 2 {
                return isNegative ? Amount(-amount.raw) : amount
            }
        default: break
        }
        throw .invalid(
            "Money is a number, or a string with one, from \(isSigned ? "-" : "")\(isSigned ? Limits.moneyHundredths / 100 : 0) to "
                + "\(Limits.moneyHundredths / 100) with two fraction digits at most", at: pointer(name))
    }

    mutating func bool(_ name: String, default fallback: Bool) throws(Problem) -> Bool {
        guard let value = take(name) else { return fallback }
        if case .bool(let isTrue) = value { return isTrue }
        throw .invalid("true or false is expected", at: pointer(name))
    }

    /// A text for people; empty: there is none.
    mutating func reason() throws(Problem) -> String {
        guard let value = take("reason") else { return "" }
        if case .string(let text) = value, text.utf8.count <= Limits.trailTextBytes { return text }
        throw .invalid("A text of at most \(Limits.trailTextBytes) bytes is expected", at: pointer("reason"))
    }

    /// The same as ``lines(_:)``, or nil if there is no such member.
    mutating func linesOrNone(_ name: String) throws(Problem) -> [ItemUnits]? {
        members.contains { $0.name == name } ? try lines(name) : nil
    }

    /// Units of items. Those of one item count together.
    mutating func lines(_ name: String) throws(Problem) -> [ItemUnits] {
        guard case .array(let elements) = try require(name) else { throw .invalid("An array is expected", at: pointer(name)) }
        if elements.count > Limits.orderLines {
            throw .invalid("There are more than \(Limits.orderLines) lines", at: pointer(name))
        }
        var lines: [ItemUnits] = []
        var places: [Identifier: Int] = [:]
        for (index, element) in elements.enumerated() {
            var fields = try BodyFields(element, at: .element(of: name, index: index))
            let item = try fields.identifier("item_id")
            let units = Amount(try fields.integer("units", in: 1...Limits.unitsPerRequest))
            try fields.end()
            if let known = places[item] {
                guard let sum = lines[known].units.sum(units, atMost: Limits.balance) else {
                    throw .invalid("The units of this item are too many, counted together", at: fields.pointer("units"))
                }
                lines[known] = ItemUnits(item: item, units: sum)
            } else {
                places[item] = lines.count
                lines.append(ItemUnits(item: item, units: units))
            }
        }
        return lines
    }
}

extension Problem {
    /// A 400 for a value of a body.
    ///
    /// - Parameter pointer: where it is.
    static func invalid(_ what: String, at pointer: String) -> Problem {
        let place = pointer.isEmpty ? "the body" : pointer.prefix(HTTPLimits.echoedCharacters)
        return Problem(.malformedRequest, "\(what): \(place). Nothing was begun.", pointer: pointer)
    }
}
