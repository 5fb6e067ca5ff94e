// What the types of problems mean, and what to do about each, for people who look one up. What happened to one request
// stands in its answer's `detail`.

import KontorCore

extension Problem.Kind {
    /// Whether a request that meets it had an effect: what the status promises.
    var effect: String {
        switch self {
        case .outcomeUnknown: return "Nobody knows yet: it may have happened, or may still happen."
        case .bug: return "Nobody knows: it may have happened. A 500 is a mistake of the service."
        case .readUnavailable, .notReady: return "None: it was a question."
        default: return "None: nothing was changed, and nothing will be changed later by this request."
        }
    }

    /// What it says, in a sentence or two.
    var meaning: String { words.meaning }

    /// What the client, or a person, can do.
    var advice: String { words.advice }

    private var words: (meaning: String, advice: String) {
        switch status {
        case 409: return conflict
        case 404: return missing
        case 424, 429, 500...599: return inability
        default: return mistake
        }
    }

    /// The request is not as it should be.
    private var mistake: (meaning: String, advice: String) {
        switch self {
        case .malformedHTTP:
            return (
                "What was received is no request by the rules of HTTP/1.1.",
                "Look at what your client sends: the detail names the rule."
            )
        case .malformedRequest:
            return (
                "An id, a number, the path or a header of the request is malformed, or outside of what is accepted.",
                "Correct the value that the detail names."
            )
        case .overLimit:
            return (
                "With this request an amount, a total or an order would be larger than the shop can keep.",
                "Send a smaller amount, or use another order. The detail names the bound."
            )
        case .tokenNeeded:
            return (
                "The shop asks who you are, and the request bears no token, or one that is unknown, revoked or over.",
                "Send Authorization: Bearer with a token. Who operates the shop makes one: kontor token new."
            )
        case .forbidden:
            return (
                "The shop knows you, and you may not do this.",
                "Ask who operates the shop for a token with the scope that the detail names."
            )
        case .foreignHost:
            return (
                "The shop was asked under a name that is not its own: an attack by DNS looks like that, and a new name of the shop's, too.",
                "Use its address or a name that is allowed, or allow this one: kontor serve --allowed-hosts."
            )
        case .foreignOrigin:
            return (
                "A browser sent this for a page of another site, which may change nothing here.",
                "Nothing needs to be done if you did not mean it. A program that is no browser sends no Origin."
            )
        case .wrongMethod:
            return ("The path exists, but not with this method.", "Use one of the methods in the answer's Allow header.")
        case .requestTimeout:
            return (
                "The request did not arrive as a whole in the time that it has, or too many others arrived in part.",
                "Send it again, all at once."
            )
        case .bodyTooLarge: return ("The body is longer than \(HTTPLimits.bodyBytes) bytes.", "Send a shorter body, or none.")
        case .changedSince:
            return (
                "The order is not any more what If-Match says: somebody has changed it since it was read.",
                "Read it again, look what has changed, and send the change with its new ETag."
            )
        case .notJSON:
            return ("The request has a body that is not said to be JSON.", "Send Content-Type: application/json.")
        case .pathTooLong: return ("The path is longer than \(HTTPLimits.pathBytes) bytes.", "Send a shorter path.")
        case .headersTooLarge:
            return (
                "The headers have more than \(HTTPLimits.headerBytes) bytes or \(HTTPLimits.headerFields) fields.",
                "Send fewer or shorter headers; cookies are of no use here."
            )
        case .keyReused:
            return (
                "This Idempotency-Key was used before with another request, for the same order, user or item.",
                "Use a new key for each new request, and the same key only to repeat one."
            )
        default: return otherwise
        }
    }

    /// What the request names is not there.
    private var missing: (meaning: String, advice: String) {
        switch self {
        case .unknownRoute:
            return (
                "There is no such path here, or it is served on the operators' port only.",
                "Look the path up in the documentation."
            )
        case .unknownItem: return ("There is no item with this id.", "Create it first, or correct the id.")
        case .unknownUser: return ("There is no user with this id.", "Create the user first, or correct the id.")
        case .unknownOrder:
            return (
                "There is no order with this id, or it was removed. The detail says which.",
                "Create an order, or correct the id."
            )
        case .itemNotInOrder: return ("The order has no unit of this item.", "Look at the order to see what it has.")
        case .noDirectPayment:
            return (
                "There is no direct payment of this user for this order: none was made, or a batch_init has replaced the user since.",
                "There is nothing to give back. What a checkout paid is not cancelled here."
            )
        default: return otherwise
        }
    }

    /// What is there does not allow it now.
    private var conflict: (meaning: String, advice: String) {
        switch self {
        case .outOfStock:
            return (
                "More units of an item are wanted than are in stock.",
                "Add stock or order less, then try the same request again."
            )
        case .outOfCredit:
            return ("The user's credit is smaller than what is to be paid.", "Add funds, then try the same request again.")
        case .contended:
            return (
                """
                Others hold what this request needs: checkouts that are not decided yet and did not end before its deadline, \
                or orders that are reserved, for which nobody waits.
                """,
                "Try again after the time that Retry-After says: both end, and then it is certain whether there is enough."
            )
        case .orderPaid: return ("The order is paid, and a paid order is not changed.", "Create another order.")
        case .orderCheckingOut:
            return (
                "A checkout of the order is running, and until its end the order is not changed.",
                "Wait for the end, then try again."
            )
        case .orderReserved:
            return (
                "What the order needs is reserved for it, and it is not changed or paid otherwise meanwhile.",
                "Check it out, or give the reservation back first: DELETE /v1/orders/{order}/reservation."
            )
        case .orderRemoved: return ("The order was removed, and is not used any more.", "Create another order.")
        case .orderNotPaid:
            return (
                "No checkout has paid the order, so there is nothing to refund.",
                "Check it out first. A direct payment is cancelled instead: POST /payment/cancel."
            )
        case .orderRefunded:
            return ("All of the order was refunded, and it is not checked out again.", "Create another order.")
        case .nothingToRefund: return ("All of the order is refunded.", "There is nothing left to do.")
        case .refundExceeds:
            return (
                "More units of an item are to be refunded than were bought and are not refunded yet.",
                "Look at the order: its lines say what is refunded. Refund less."
            )
        case .orderEmpty: return ("The order has no items.", "Add one, then check out again.")
        case .paidDirectly:
            return (
                "A direct payment stands for the order, and an order is paid once.",
                "Leave it at that, or cancel the payment, then try again."
            )
        case .paidByCheckout:
            return (
                "A checkout has paid the order, and an order is paid once.",
                "There is nothing left to pay, and nothing to cancel."
            )
        case .orderOfAnotherUser:
            return ("The order is another user's, who alone can pay for it.", "Use the id of the order's user.")
        case .openSaga:
            return (
                "A checkout or refund that concerns the account or order is running, or it is reserved: then it is not replaced.",
                "Wait for its end, then try again."
            )
        case .anomaly:
            return (
                "A ledger refused a step of the checkout, which only a delayed or lost message explains. All of it is undone.",
                "Check out again. If it stays, tell somebody who operates the shop."
            )
        case .keyInUse:
            return (
                "The first request with this Idempotency-Key is still running.",
                "Send the request again under the same key to get that one's answer."
            )
        default: return otherwise
        }
    }

    /// The shop cannot do it now, or does not know whether it did.
    private var inability: (meaning: String, advice: String) {
        switch self {
        case .unavailable:
            return (
                "A store or a service that the request needs cannot be reached, so it was not begun, or is undone for good.",
                "Send it again in a moment."
            )
        case .noRoom:
            return (
                "The disk, or the memory of the database, is full.",
                "Somebody who operates the shop must make room. Send the request again after that."
            )
        case .callerLimit:
            return (
                "One caller may have only so much here, and you have had it.",
                "Send it again later, and more slowly: Retry-After says when."
            )
        case .overloaded:
            return (
                "As much is going on as may at once; the detail says of what. The request was not begun.",
                "Send it again later, with growing pauses."
            )
        case .notServing: return ("The service is starting or shutting down.", "Send it again in a moment.")
        case .keysFull:
            return (
                "As many idempotency keys are kept as the shop keeps.",
                "Send it again when older keys have expired, or without a key."
            )
        case .readUnavailable: return ("What is asked for cannot be read now.", "Read again in a moment.")
        case .notReady: return ("The service cannot take requests now.", "Try again in a moment.")
        case .outcomeUnknown:
            return (
                "The request was begun, and its end is not known within its deadline.",
                "Repeat a checkout, or a request with an Idempotency-Key under the same key: the answer tells what became of it. Look "
                    + "before you repeat any other."
            )
        case .bug: return ("The service made a mistake.", "Look whether it happened, and please report it.")
        default: return otherwise
        }
    }

    /// For a type whose status has moved it to another group; a test sees to it that there is none.
    private var otherwise: (meaning: String, advice: String) { ("", "") }
}
