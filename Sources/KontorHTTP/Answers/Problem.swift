// Problem details (RFC 9457): the answers to requests that fail. Which outcome of the shop becomes which problem is in
// OutcomeProblems.

import KontorAccess
import KontorCore
import KontorService

/// A problem with its stable type, a sentence for a person, and the ids concerned.
struct Problem: Error, Hashable, Sendable {
    /// The stable types. The raw value is the end of the type's URI, `/problems/out-of-stock`.
    enum Kind: String, CaseIterable, Sendable {
        case malformedHTTP = "malformed-http"
        case malformedRequest = "malformed-request"
        case overLimit = "over-limit"

        case unknownRoute = "unknown-route"
        case unknownItem = "unknown-item"
        case unknownUser = "unknown-user"
        case unknownOrder = "unknown-order"
        case itemNotInOrder = "item-not-in-order"
        case noDirectPayment = "no-direct-payment"

        case tokenNeeded = "token-needed"
        case forbidden
        case foreignHost = "foreign-host"
        case foreignOrigin = "foreign-origin"
        case wrongMethod = "wrong-method"
        case requestTimeout = "request-timeout"

        case outOfStock = "out-of-stock"
        case outOfCredit = "out-of-credit"
        case contended
        case orderPaid = "order-paid"
        case orderCheckingOut = "order-checking-out"
        case orderReserved = "order-reserved"
        case orderRemoved = "order-removed"
        case orderNotPaid = "order-not-paid"
        case orderRefunded = "order-refunded"
        case nothingToRefund = "nothing-to-refund"
        case refundExceeds = "refund-exceeds-order"
        case orderEmpty = "order-empty"
        case paidDirectly = "already-paid-directly"
        case paidByCheckout = "paid-by-checkout"
        case orderOfAnotherUser = "order-of-another-user"
        case openSaga = "open-saga"
        case anomaly
        case keyInUse = "idempotency-key-in-use"
        case keyReused = "idempotency-key-reused"

        case changedSince = "changed-since"
        case bodyTooLarge = "body-too-large"
        case notJSON = "not-json"
        case pathTooLong = "path-too-long"
        case headersTooLarge = "headers-too-large"

        case unavailable
        case noRoom = "no-room"
        case overloaded
        case notServing = "not-serving"
        case keysFull = "idempotency-keys-full"
        case callerLimit = "caller-limit"
        case readUnavailable = "read-unavailable"
        case notReady = "not-ready"
        case outcomeUnknown = "outcome-unknown"
        case bug

        /// The problem's `type`: a URI reference that stays the same.
        var type: String { "/problems/" + rawValue }

        var status: Int {
            switch self {
            case .malformedHTTP, .malformedRequest, .overLimit: return 400
            case .unknownRoute, .unknownItem, .unknownUser, .unknownOrder, .itemNotInOrder, .noDirectPayment: return 404
            case .tokenNeeded: return 401
            case .forbidden, .foreignHost, .foreignOrigin: return 403
            case .wrongMethod: return 405
            case .requestTimeout: return 408
            case .outOfStock, .outOfCredit, .contended, .orderPaid, .orderCheckingOut, .orderReserved, .orderRemoved,
                .orderNotPaid,
                .orderRefunded, .nothingToRefund, .refundExceeds, .orderEmpty,
                .paidDirectly, .paidByCheckout, .orderOfAnotherUser, .openSaga, .anomaly, .keyInUse:
                return 409
            case .changedSince: return 412
            case .bodyTooLarge: return 413
            case .notJSON: return 415
            case .pathTooLong: return 414
            case .keyReused: return 422
            case .unavailable, .noRoom: return 424
            case .overloaded, .notServing, .keysFull, .callerLimit: return 429
            case .headersTooLarge: return 431
            case .bug: return 500
            case .readUnavailable, .notReady: return 503
            case .outcomeUnknown: return 504
            }
        }

        /// Seconds after which to come back, at least; nil if waiting does not help.
        var retryAfterSeconds: Int? {
            switch self {
            case .contended, .openSaga, .keyInUse, .unavailable, .overloaded, .notServing, .callerLimit, .readUnavailable,
                .notReady:
                return 1
            case .noRoom: return 30
            case .keysFull: return 60
            default: return nil
            }
        }

        /// A few words for people, the same for every problem of the type.
        var title: String {
            switch self {
            case .malformedHTTP: return "Malformed HTTP"
            case .malformedRequest: return "Malformed request"
            case .overLimit: return "Over a limit"
            case .unknownRoute: return "Unknown route"
            case .unknownItem: return "Unknown item"
            case .unknownUser: return "Unknown user"
            case .unknownOrder: return "Unknown order"
            case .itemNotInOrder: return "Item not in the order"
            case .noDirectPayment: return "No direct payment"
            case .tokenNeeded: return "Token needed"
            case .forbidden: return "Not allowed"
            case .foreignHost: return "Not under this name"
            case .foreignOrigin: return "Not for pages of other sites"
            case .wrongMethod: return "Wrong method"
            case .requestTimeout: return "Request too slow"
            case .outOfStock: return "Out of stock"
            case .outOfCredit: return "Out of credit"
            case .contended: return "Contended"
            case .orderPaid: return "Order is paid"
            case .orderCheckingOut: return "Order is being checked out"
            case .orderReserved: return "Order is reserved"
            case .orderRemoved: return "Order is removed"
            case .orderNotPaid: return "Order is not paid"
            case .orderRefunded: return "Order is refunded"
            case .nothingToRefund: return "Nothing to refund"
            case .refundExceeds: return "More than can be refunded"
            case .orderEmpty: return "Order is empty"
            case .paidDirectly: return "Already paid directly"
            case .paidByCheckout: return "Paid by a checkout"
            case .orderOfAnotherUser: return "Order of another user"
            case .openSaga: return "Checkout is running, or reserved"
            case .anomaly: return "Refused by a ledger"
            case .keyInUse: return "Idempotency key in use"
            case .keyReused: return "Idempotency key reused"
            case .keysFull: return "Too many idempotency keys"
            case .callerLimit: return "More than one caller may have"
            case .changedSince: return "Changed since"
            case .bodyTooLarge: return "Body too large"
            case .notJSON: return "No JSON"
            case .pathTooLong: return "Path too long"
            case .headersTooLarge: return "Headers too large"
            case .unavailable: return "Not available"
            case .noRoom: return "No room left"
            case .overloaded: return "Overloaded"
            case .notServing: return "Not serving now"
            case .readUnavailable: return "Cannot be read now"
            case .notReady: return "Not ready"
            case .outcomeUnknown: return "Outcome unknown"
            case .bug: return "Internal error"
            }
        }
    }

    let kind: Kind
    /// What happened, to which order, item or user, and what to do.
    let detail: String
    /// Shown as `order_id`, `item_id` and `user_id`; at most one of each.
    let ids: [GroupKey]
    /// The methods of the path, for a wrong method; empty for every other problem.
    let allowed: MethodSet
    /// A JSON pointer (RFC 6901) to what is wrong in the body; nil: it is not about the body.
    let pointer: String?
    /// Seconds after which to come back; nil if waiting does not help.
    let retryAfterSeconds: Int?

    init(
        _ kind: Kind, _ detail: String, _ ids: [GroupKey] = [], allowed: MethodSet = [], pointer: String? = nil,
        retryAfterSeconds: Int? = nil
    ) {
        self.kind = kind
        self.detail = detail
        self.ids = ids
        self.allowed = allowed
        self.pointer = pointer
        self.retryAfterSeconds = retryAfterSeconds ?? kind.retryAfterSeconds
    }

    static let contentType = "application/problem+json"

    /// The body of the answer.
    var json: [UInt8] {
        var json = JSONWriter(capacity: 320)
        json.raw(#"{"type":"#)
        json.string(kind.type)
        json.raw(#","title":"#)
        json.string(kind.title)
        json.raw(#","status":"#)
        json.number(Int64(kind.status))
        json.raw(#","detail":"#)
        json.string(detail)
        for (position, key) in ids.enumerated() where !ids[..<position].contains(where: { $0.kind == key.kind }) {
            switch key.kind {
            case .order: json.raw(#","order_id":"#)
            case .item: json.raw(#","item_id":"#)
            case .user: json.raw(#","user_id":"#)
            }
            json.id(key.id)
        }
        if let pointer {
            json.raw(#","pointer":"#)
            json.string(pointer)
        }
        json.raw("}")
        return json.bytes
    }
}

extension Problem {
    static let unknownRoute = Problem(
        .unknownRoute, "There is no such path. /docs shows people those that there are, and /openapi.json programs.")
    static let adminRoute = Problem(
        .unknownRoute, "This path is for operators, and switched off here. It is served on the operators' port.")
    static let tokenNeeded = Problem(
        .tokenNeeded,
        "Send Authorization: Bearer TOKEN with a token that this shop knows, and that has not expired. Nothing was begun.")

    /// What the copy of a write is told that may not be decided here, though an earlier one may have been elsewhere.
    static let unknownCopy = Problem(
        .outcomeUnknown,
        "This was sent before, to another process, and this one may not decide it: nobody knows what became of it. "
            + "Look before you repeat it.")
    /// What a write is told that says to come from a gateway, when its sender may not say so. Taken for a new write,
    /// its second copy would be done again.
    static let unknownGateway = Problem(
        .forbidden,
        "Kontor-Request says that a gateway sent this, and this shop does not know the gateway: name its address with "
            + "--trusted-proxies. Nothing was begun.")
    static let notJSON = Problem(
        .notJSON, "The body is to be JSON: send Content-Type: application/json. Nothing was begun.")
    static let noMoneyHere = Problem(
        .forbidden,
        "Credit or stock from nothing is for operators, and switched off here. It is served on the operators' port. Nothing was begun."
    )
    static let secretNeeded = Problem(
        .tokenNeeded, "This listener is for operators: send Authorization: Bearer SECRET. Nothing was begun.")

    static func unknownUser(_ user: Identifier) -> Problem {
        let account = GroupKey(.user, user)
        return Problem(.unknownUser, "There is no \(account). Nothing was changed; create it first.", [account])
    }

    /// - Parameter scopes: what the caller would need.
    static func forbidden(_ scopes: Scopes) -> Problem {
        Problem(.forbidden, "Your token does not have the scope \(scopes), which this needs. Nothing was begun.")
    }

    static let notReady = Problem(.notReady, "The service cannot take requests now. Try again in a moment.")
    static func notTaken(_ bound: WorkBound) -> Problem {
        switch bound {
        case .requestsInFlight: return notTaken("requests are in flight")
        case .openCheckouts: return notTaken("checkouts are open")
        case .batchInits: return notTaken("batch_inits are running")
        case .openRefunds: return notTaken("refunds are open")
        case .reservedItems: return notTaken("items are reserved")
        case .callerKeys: return callerLimit("a number of idempotency keys, which are kept for a while,")
        }
    }

    /// More requests of one connection wait than may.
    static let tooManyPipelined = notTaken("requests of this connection are waiting for their answers")

    private static func notTaken(_ what: String) -> Problem {
        Problem(
            .overloaded,
            "As many \(what) as may at once. This request was not begun; send it again later. If it repeats an earlier one, the "
                + "outcome of that one stands.")
    }

    static let tooManyConnections = Problem(
        .overloaded, "There are too many open connections. Nothing was read; connect again later.")
    static let pageFailed = Problem(.bug, "This page could not be computed. Try again, and look at the log.")
    static let malformedHTTP = Problem(
        .malformedHTTP, "What was received is not an HTTP/1.1 request. Nothing was begun.")
    static let invalidHost = Problem(
        .malformedHTTP, "The Host header is no host with or without a port. Nothing was begun.")
    static let chunksOfOldClient = Problem(
        .malformedHTTP, "An HTTP/1.0 request has no Transfer-Encoding. Nothing was begun; send Content-Length.")
    static let slowRequest = Problem(
        .requestTimeout, "The request did not arrive in time. Nothing was begun; send it again.")
    static let tooManyHalfSent = Problem(
        .requestTimeout,
        "As many requests have arrived in part as may at once, and this one for the longest. Nothing was begun; send it again.")
    static let pathTooLong = Problem(
        .pathTooLong, "The path is longer than \(HTTPLimits.pathBytes) bytes. Nothing was begun.")
    static let headersTooLarge = Problem(
        .headersTooLarge,
        "The headers have more than \(HTTPLimits.headerBytes) bytes or \(HTTPLimits.headerFields) fields. "
            + "Nothing was begun.")
    static let bodyTooLarge = Problem(
        .bodyTooLarge, "The body has more than \(HTTPLimits.bodyBytes) bytes. Nothing was begun, and no route needs it."
    )

    /// The service has begun to listen, and not to serve.
    static func starting(isRead: Bool) -> Problem {
        notServing("The service is starting: it goes on with what its last run left, and then serves.", isRead: isRead)
    }

    /// The service takes nothing new any more.
    static func ending(isRead: Bool) -> Problem {
        notServing("The service shuts down, and takes no more requests.", isRead: isRead)
    }

    private static func notServing(_ why: String, isRead: Bool) -> Problem {
        if isRead { return Problem(.notReady, why + " Try again in a moment.") }
        return Problem(
            .notServing,
            why
                + " This request was not begun; send it again in a moment. If it repeats an earlier one, the outcome of that one stands."
        )
    }

    static func wrongMethod(allowed: MethodSet) -> Problem {
        Problem(.wrongMethod, "This path exists, but not with this method. Use \(allowed.allowText).", allowed: allowed)
    }

    /// A 400 for an argument or a header.
    ///
    /// - Parameter value: what was received, to be shown in part; nil if that does not help.
    static func malformed(_ what: String, echoing value: String?) -> Problem {
        guard let value else { return Problem(.malformedRequest, what) }
        let shown = value.prefix(HTTPLimits.echoedCharacters)
        return Problem(.malformedRequest, "\(what): \(shown)\(shown.count < value.count ? "..." : "")")
    }
}
