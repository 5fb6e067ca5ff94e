// Reads the query of a request target: limits, cursors and filters. What is not known is refused, so that a typo is no
// silent default.

import KontorCore
import KontorService

/// A field of a query, as documents show it.
enum QueryParameter: String, CaseIterable, Sendable {
    case user = "user_id"
    case state, limit, cursor

    var summary: String {
        switch self {
        case .user: return "Whose orders; without it those of all."
        case .state: return "Only orders in this state."
        case .limit: return "How many a page has at most. It may have fewer, and still a cursor."
        case .cursor: return "The next_cursor of the page before."
        }
    }

    var schema: JSONValue {
        switch self {
        case .user: return OpenAPISchemas.reference("Id")
        case .state: return ["type": "string", "enum": .array(OrderState.allCases.map { .string($0.rawValue) })]
        case .limit:
            return [
                "type": "integer", "minimum": 1, "maximum": .integer(Int64(Limits.listPage)),
                "default": .integer(Int64(HTTPLimits.usualPage)),
            ]
        // What a page gave has this form, which means nothing to clients.
        case .cursor:
            return [
                "type": "string", "pattern": .string("^(0|[1-9][0-9]{0,12})\\.[A-Za-z0-9_.~-]{1,\(Limits.identifierBytes)}$"),
            ]
        }
    }
}

/// The fields of a query that are not read yet.
struct QueryFields {
    private var fields: [(name: String, value: String)] = []

    /// - Parameter query: what stands behind the `?`; empty: there is none.
    init(_ query: String) throws(Problem) {
        for pair in query.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, let name = Self.decoded(parts[0]), let value = Self.decoded(parts[1]) else {
                throw .malformed("The query has no name and value", echoing: String(pair))
            }
            if fields.contains(where: { $0.name == name }) { throw .malformed("The query says this twice", echoing: name) }
            if fields.count >= HTTPLimits.queryFields { throw .malformed("The query has too many fields", echoing: nil) }
            fields.append((name, value))
        }
    }

    private static func decoded(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8.makeIterator()
        while let byte = rest.next() {
            switch byte {
            case UInt8(ascii: "+"): bytes.append(UInt8(ascii: " "))
            case UInt8(ascii: "%"):
                guard let high = rest.next().flatMap(PathSegments.hexDigit),
                    let low = rest.next().flatMap(PathSegments.hexDigit)
                else { return nil }
                bytes.append(high << 4 | low)
            default: bytes.append(byte)
            }
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private mutating func take(_ name: String) -> String? {
        guard let index = fields.firstIndex(where: { $0.name == name }) else { return nil }
        return fields.remove(at: index).value
    }

    /// Refuses what nobody has read.
    func end() throws(Problem) {
        if let left = fields.first { throw .malformed("The query knows no field of this name", echoing: left.name) }
    }

    /// How many entries a page may have.
    mutating func limit() throws(Problem) -> Int {
        guard let text = take("limit") else { return HTTPLimits.usualPage }
        if let limit = Int(text), (1...Limits.listPage).contains(limit) { return limit }
        throw .malformed("The limit is not an integer from 1 to \(Limits.listPage)", echoing: text)
    }

    /// Behind what the page begins; nil: at the beginning.
    mutating func cursor() throws(Problem) -> ListCursor? {
        guard let text = take("cursor") else { return nil }
        if let cursor = ListCursor(text) { return cursor }
        throw .malformed("The cursor is none that a page gave", echoing: text)
    }

    /// The user whose orders are asked for; nil: all.
    mutating func user() throws(Problem) -> Identifier? {
        guard let text = take("user_id") else { return nil }
        if let id = Identifier(text) { return id }
        throw .malformed(
            "The user_id is not 1 to \(Limits.identifierBytes) characters of A-Z a-z 0-9 _ . ~ -", echoing: text)
    }

    /// The state that is asked for; nil: any.
    mutating func state() throws(Problem) -> OrderState? {
        guard let text = take("state") else { return nil }
        if let state = OrderState(rawValue: text) { return state }
        throw .malformed(
            "The state is none of \(OrderState.allCases.map(\.rawValue).joined(separator: ", "))", echoing: text)
    }
}
