// What a route reads of a request's body, and the call that waits for it.

import KontorAccess
import KontorCore
import KontorService

/// What a body asks for.
struct BodyRequest {
    let request: ShopRequest
    /// Why, in the client's words; empty: it did not say.
    var reason = ""
}

/// What a route with a body needs to know of the request's head.
struct BodyContext {
    /// Whether the request bears an idempotency key.
    let hasKey: Bool
    /// The tags that `If-Match` names; nil: any.
    let tags: [UInt64]?
}

/// The body of a route: its documented shape, and how it is read.
struct RouteBody: Sendable {
    /// nil: no body is needed, and of one that comes nothing is known.
    var schema: (name: String, schema: JSONValue, example: JSONValue)?
    /// Whether a request without a body makes sense.
    var isOptional = false
    /// Whether the route takes `If-Match`.
    var takesTags = false
    /// Makes the shop's request. What it leaves of the fields is refused as not known.
    let read: @Sendable (PathSegments, inout BodyFields, BodyContext) throws(Problem) -> BodyRequest
}

/// A request whose head was let in, and whose body has not arrived yet.
final class BodyCall: Sendable {
    private let path: PathSegments
    let entry: RouteTable.Entry
    private let body: RouteBody
    /// Who asks; nil: callers are not told apart.
    let principal: Principal?
    private let isAdminOpen: Bool

    init(
        _ path: PathSegments, at entry: RouteTable.Entry, _ body: RouteBody, by principal: Principal?, isAdminOpen: Bool
    ) {
        self.path = path
        self.entry = entry
        self.body = body
        self.principal = principal
        self.isAdminOpen = isAdminOpen
    }

    /// The call that the body makes of it, the body's value, and why in the client's words.
    func call(
        _ bytes: [UInt8], _ headers: RequestHeaders
    ) throws(Problem) -> (call: ShopCall, value: JSONInput, reason: String) {
        let value = try value(of: bytes, headers)
        var fields = try BodyFields(value)
        let context = BodyContext(hasKey: headers.key != nil, tags: try tags(headers))
        let asked = try body.read(path, &fields, context)
        try fields.end()
        let request =
            try principal?.user.map { user throws(Problem) in try asked.request.restricted(to: user) } ?? asked.request
        try admit(request)
        return (ShopCall(request, at: entry, by: principal), value, asked.reason)
    }

    private func value(of bytes: [UInt8], _ headers: RequestHeaders) throws(Problem) -> JSONInput {
        if bytes.isEmpty {
            if body.isOptional || body.schema == nil { return .object([]) }
            throw .invalid("A JSON object is expected, and there is no body", at: "")
        }
        guard headers.isJSON else { throw .notJSON }
        do throws(JSONMistake) { return try JSONParser.value(of: bytes) } catch {
            throw Problem(
                .malformedRequest, "The body is no JSON at byte \(error.position): \(error.reason). Nothing was begun.",
                pointer: "")
        }
    }

    private func tags(_ headers: RequestHeaders) throws(Problem) -> [UInt64]? {
        guard let text = headers.ifMatch else { return nil }
        guard body.takesTags else { throw .malformed("If-Match has no meaning here", echoing: nil) }
        return try EntityTag.list(text)
    }

    /// Refuses what makes money of nothing to those who may not, where the route alone does not tell.
    private func admit(_ request: ShopRequest) throws(Problem) {
        guard entry.route.access != .admin, request.makesMoney else { return }
        if !isAdminOpen { throw .noMoneyHere }
        if let principal, !principal.scopes.contains(.admin) { throw .forbidden(.admin) }
    }
}

extension ShopRequest {
    /// Whether it makes stock or credit of nothing, though its route is for everyone.
    var makesMoney: Bool { if case .newAccount(_, _, let balance) = self { balance > .zero } else { false } }
}

/// Entity tags (RFC 9110, 8.8.3): strong, and 16 hexadecimal digits.
enum EntityTag {
    /// The value of an `ETag` header.
    static func text(_ tag: UInt64) -> String {
        String(unsafeUninitializedCapacity: 18) { buffer in
            buffer[0] = UInt8(ascii: "\"")
            for place in 1...16 {
                let digit = UInt8(truncatingIfNeeded: tag >> UInt64(64 - 4 * place)) & 15
                buffer[place] = digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
            }
            buffer[17] = UInt8(ascii: "\"")
            return 18
        }
    }

    /// The tags of an `If-Match`; nil: any. A tag that is none of ours, or a weak one, matches nothing.
    static func list(_ text: String) throws(Problem) -> [UInt64]? {
        if text == "*" { return nil }
        let parts = text.split(separator: ",")
        if parts.isEmpty || parts.count > HTTPLimits.entityTags {
            throw .malformed("If-Match has not 1 to \(HTTPLimits.entityTags) tags", echoing: nil)
        }
        return parts.compactMap { part in
            let tag = FieldValue.trimmed(String(part))
            guard tag.utf8.count == 18, tag.hasPrefix("\""), tag.hasSuffix("\"") else { return nil }
            return UInt64(tag.dropFirst().dropLast(), radix: 16)
        }
    }
}
