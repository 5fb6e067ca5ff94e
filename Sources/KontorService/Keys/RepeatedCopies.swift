// Writes that a gateway sends again. The first copy may lie in the socket of a process that stands still, and be
// executed when it goes on. So before the second copy is refused, it leaves a tombstone that the first one will meet.

import KontorCore

/// Settles the results of repeated copies, so that a refusal holds for all copies.
final class RepeatedCopies {
    private let parts: ShopParts

    init(_ parts: ShopParts) { self.parts = parts }

    /// Gives the answer to a request that ended with `result`.
    ///
    /// A repeated copy that is refused leaves a tombstone under the request's id in the group that it would have
    /// changed. The tombstone changes the group's version: a commit of the first copy that is on its way meets a
    /// conflict, and the copy, decided again, meets the tombstone. If the tombstone cannot be written, nobody knows
    /// what the first copy does.
    ///
    /// - Parameters:
    ///   - replay: gives the answer of the copy that had the effect.
    ///   - join: joins the saga of an order, because the request cannot be refused.
    func settle(
        _ result: ShopAnswer, of keyed: KeyedRequest, _ stamp: RequestStamp, deadline: Int64,
        _ answer: @escaping (ShopAnswer) -> Void, replay: @escaping (@escaping (ShopAnswer) -> Void) -> Void,
        join: @escaping (WishedOrder) -> Void
    ) {
        guard !keyed.request.isBatchInit else { return answer(result) }
        let isRefusal = result.isRefusal
        // Whether its caller may leave a key is no question of what runs here.
        if result.isOverloaded && result != .overloaded(.callerKeys) || (isRefusal && parts.store.admission != nil) {
            return answer(.unknown)
        }
        if let wished = keyed.wishedOrder {
            settleSaga(result, isRefusal, wished, keyed, stamp, deadline: deadline, answer, join)
        } else if isRefusal {
            refuse(result, keyed, stamp, answer, replay)
        } else {
            answer(result)
        }
    }

    private func tombstone(_ stamp: RequestStamp, of keyed: KeyedRequest) -> KeyedWrite {
        KeyedWrite(
            KeyClaim(key: stamp.id, request: [], expires: stamp.expires), latest: stamp.latest, hasRoom: !keyed.isFull)
    }

    private func refuse(
        _ result: ShopAnswer, _ keyed: KeyedRequest, _ stamp: RequestStamp, _ answer: @escaping (ShopAnswer) -> Void,
        _ replay: @escaping (@escaping (ShopAnswer) -> Void) -> Void
    ) {
        parts.keep(tombstone(stamp, of: keyed), in: keyed.group) { [self] in
            conclude($0, result, keyed, answer) { replay(answer) }
        }
    }

    /// Answers with a refusal, if that holds for all copies.
    ///
    /// - Parameters:
    ///   - reply: what became of the tombstone.
    ///   - replay: is called if the first copy had its effect.
    private func conclude(
        _ reply: ShopAnswer, _ result: ShopAnswer, _ keyed: KeyedRequest, _ answer: @escaping (ShopAnswer) -> Void,
        replay: @escaping () -> Void
    ) {
        guard let settled = Self.answer(to: reply, result) else { return replay() }
        guard settled == result, let claim = keyed.write.claim else { return answer(settled) }
        // The first copy may have had its effect before the tombstone was there. Under a client's key it left only that
        // key, and this copy may have been refused before it could look there.
        parts.lookUp(claim, in: keyed.group) { found in
            switch found {
            case .failure: answer(.unknown)
            case .success(.replayed?): replay()
            case .success: answer(result)
            }
        }
    }

    /// - Parameter reply: what became of the tombstone.
    /// - Returns: nil: the first copy had its effect meanwhile.
    private static func answer(to reply: ShopAnswer, _ result: ShopAnswer) -> ShopAnswer? {
        switch reply {
        case .ledger(.done), .order(.done), .keyed(.replayed): return result
        case .keyed(.usedForAnother): return nil
        default: return .unknown
        }
    }

    /// What succeeded leaves a tombstone, too: `batch_init` may replace the paid order, and then the first copy would
    /// check the new one out; what was reserved may be given back, and then the first copy would reserve it again.
    private func settleSaga(
        _ result: ShopAnswer, _ isRefusal: Bool, _ wished: WishedOrder, _ keyed: KeyedRequest, _ stamp: RequestStamp,
        deadline: Int64, _ answer: @escaping (ShopAnswer) -> Void, _ join: @escaping (WishedOrder) -> Void
    ) {
        guard isRefusal || result.isDone else { return answer(result) }
        let refuse = OrderCommand.Operation.refuseSaga(isCheckout: wished.wish == .checkout)
        let command = OrderCommand(wished.order, isRefusal ? refuse : .keepKey, owner: wished.owner)
        parts.orders.submit(command, keyed: tombstone(stamp, of: keyed)) { [self] reply in
            switch reply {
            case _ where !isRefusal: answer(result)
            case .decided(.running), .decided(.alreadyPaid):
                // The first copy, or another client, was faster.
                if case .keyed = result.ofCheckout { return refuseForKey(result, keyed, answer) }
                guard parts.clock.monotonicMilliseconds < deadline else { return answer(.unknown) }
                join(wished)
            default:
                conclude(reply.answer, result, keyed) { [self] in
                    $0 == result ? showPlaced(result, keyed, answer) : answer($0)
                } replay: {
                    answer(.replayed(keyed.success))
                }
            }
        }
    }

    /// Refuses an order that was to be created and checked out, unless the first copy has created it: then only its
    /// checkout is refused.
    private func showPlaced(_ result: ShopAnswer, _ keyed: KeyedRequest, _ answer: @escaping (ShopAnswer) -> Void) {
        guard case .newOrder(let new) = keyed.request else { return answer(result) }
        switch result {
        case .placed, .keyed(.usedForAnother): return answer(result)
        default: break
        }
        parts.orders.submit(OrderCommand(keyed.group.id, .inspect)) { reply in
            switch reply {
            case .decided(.unknownOrder): answer(result)
            case .decided(.inspected(let order, _)): answer(new.makes(order) ? .placed(keyed.group.id, result) : result)
            default: answer(.unknown)
            }
        }
    }

    /// Refuses a checkout for its key, although the order is paid or being paid. If the key is kept for another
    /// request, no copy of this one can have had an effect.
    private func refuseForKey(_ result: ShopAnswer, _ keyed: KeyedRequest, _ answer: @escaping (ShopAnswer) -> Void) {
        guard let claim = keyed.write.claim else { return answer(.unknown) }
        parts.lookUp(claim, in: keyed.group) { found in
            switch found {
            case .success(.usedForAnother?): answer(result)
            case .success(.replayed?): answer(.replayed(keyed.success))
            case .success, .failure: answer(.unknown)
            }
        }
    }
}

extension ShopAnswer {
    fileprivate var isDone: Bool {
        switch self {
        case .checkout(let result): result.isSuccess
        case .replayed(let first): first.isDone
        case .placed(_, let result): result.isDone
        default: false
        }
    }

    /// What became of a checkout, also of one that came with its order.
    var ofCheckout: ShopAnswer { if case .placed(_, let result) = self { result } else { self } }

    /// Whether the answer says that the write had no effect and will have none.
    public var isRefusal: Bool {
        switch self {
        case .created, .initialized, .replayed, .explanation, .paymentStatus, .unknown, .keyed(.late), .keyed(.replayed),
            .refunded, .refunds, .listedOrders, .listedAccounts:
            false
        case .ledger(let outcome): outcome != .done
        case .order(let outcome): outcome != .done
        case .checkout(let result): !result.isSuccess
        case .placed(_, let result): result.isRefusal
        case .shown(_, _, let answer): answer.isRefusal
        case .missing, .paidByCheckout, .orderOfAnotherUser, .keyed, .hasOpenSaga, .unavailable, .overloaded, .creditRefused:
            true
        }
    }
}
