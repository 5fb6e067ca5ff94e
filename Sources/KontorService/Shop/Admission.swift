// Admission: whether new work may begin. Work that has begun always finds room.

import KontorCore

/// Decides which requests may begin.
final class Admission {
    private let parts: ShopParts
    private let refusals: Refusals
    private let handler: RequestHandler

    init(_ parts: ShopParts, _ refusals: Refusals, _ handler: RequestHandler) {
        self.parts = parts
        self.refusals = refusals
        self.handler = handler
    }

    /// The answer to a request that may not begin now; nil: it may.
    func refusal(of request: ShopRequest) -> ShopAnswer? {
        if !request.isRead, let error = parts.store.admission {
            refusals.count(RefusalReason(error))
            return .unavailable(error)
        }
        if request.isOfSaga, parts.orders.coordinator.isFull {
            refusals.count(.openSagas)
            return .overloaded(.openCheckouts)
        }
        if case .reserve = request, parts.store.openWorkRecords >= Limits.reservedItems {
            refusals.count(.reservedItems)
            return .overloaded(.reservedItems)
        }
        if case .refund = request, parts.orders.refunds.isFull {
            refusals.count(.openRefunds)
            return .overloaded(.openRefunds)
        }
        if request.beginsSaga {
            // Whoever begins must find room everywhere: a participant's last room is for what has begun.
            if let error = parts.router.admissionOfPeers {
                refusals.count(RefusalReason(error))
                return .unavailable(error)
            }
        }
        if request.isBatchInit, handler.runningBatchInits >= Limits.batchInitsAtOnce {
            refusals.count(.batchInits)
            return .overloaded(.batchInits)
        }
        return nil
    }

    /// Answers a request that may not begin. One that a saga does may repeat one that began: then it gets the true
    /// answer.
    ///
    /// - Parameter keyed: the request's keys, which were free. A success would have to be kept under the client's, and
    ///   there is no room for that.
    func refuse(
        _ request: ShopRequest, _ keyed: KeyedRequest?, _ refusal: ShopAnswer, deadline: Int64,
        answer: @escaping (ShopAnswer) -> Void
    ) {
        if let wished = keyed?.wishedOrder ?? request.wishedOrder, parts.orders.coordinator.isRunning(wished.order) {
            return parts.orders.run(wished, keyed: keyed?.write, deadline: deadline) {
                answer(keyed?.answer(toCheckout: $0) ?? $0)
            }
        }
        guard case .checkout(let order, let owner) = request else { return answer(refusal) }
        if keyed?.write.claim != nil {
            parts.metrics.didNotBegin(because: refusal.isOverloaded ? .overloaded : .unavailable)
            return answer(refusal)
        }
        parts.orders.submit(OrderCommand(order, .read, owner: owner)) { [parts] reply in
            if case .decided(.order(let order)) = reply, order.status == .paid, !order.isRefunded {
                answer(.checkout(.paid))
            } else {
                parts.metrics.didNotBegin(because: refusal.isOverloaded ? .overloaded : .unavailable)
                answer(refusal)
            }
        }
    }
}

extension ShopRequest {
    /// Whether it begins what other services take part in.
    fileprivate var beginsSaga: Bool {
        if case .refund = self { true } else { isOfSaga }
    }
}
