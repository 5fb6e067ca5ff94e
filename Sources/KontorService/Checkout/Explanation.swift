// The explanation of an order: what happened to it, step by step, and what it lacks. It comes from its history, its
// running saga, and the accounts that it needs.

import KontorCore

/// What happened to an order, and what it lacks. The HTTP layer puts it into words.
public struct Explanation: Hashable, Sendable {
    public let id: Identifier
    public let order: Order
    /// The latest attempts, oldest first, with the running one as far as it went.
    public let attempts: [Attempt]
    /// The running checkout; nil: none runs.
    public let saga: SagaRecord?
    /// When each leg of the running checkout is asked again: wall clock, milliseconds since 1970; nil: its reply is not
    /// waited for.
    public let retries: [Int64?]
    /// The reasons why a checkout would fail now. Other checkouts may change them at any moment.
    public let obstacles: [AbortReason]
    public let payment: Payment
    /// The refunds of the order, oldest first, those that are open among them.
    public let refunds: [Refund]

    /// What the order's user paid for it directly.
    public enum Payment: Hashable, Sendable {
        /// It could not be asked now.
        case unknown
        case none
        case made(DirectPayment)

        /// The payment that stands for the order, so that no checkout of it may charge again; nil: none, as far as is
        /// known.
        public func standing(for order: Order) -> DirectPayment? {
            if case .made(let payment) = self, payment.stands(for: order.incarnation) { payment } else { nil }
        }
    }

    public init(
        id: Identifier, order: Order, attempts: [Attempt], saga: SagaRecord?, retries: [Int64?], obstacles: [AbortReason],
        payment: Payment = .none, refunds: [Refund] = []
    ) {
        self.id = id
        self.order = order
        self.attempts = attempts
        self.saga = saga
        self.retries = retries
        self.obstacles = obstacles
        self.payment = payment
        self.refunds = refunds
    }
}

extension OrderService {
    /// Explains an order, even a removed one. For an open order it reads the accounts as they are now.
    func explain(_ id: Identifier, owner: Identifier?, deadline: Int64, answer: @escaping (ShopAnswer) -> Void) {
        submit(OrderCommand(id, .inspect, owner: owner)) { [self] reply in
            guard case .decided(.inspected(let order, let saga)) = reply else { return answer(reply.answer) }
            let progress = coordinator.progress(of: id).flatMap { $0.saga == saga?.id ? $0 : nil }
            let attempts = order.attempts(saga, progress?.trace)
            let retries = progress?.retries ?? []
            findPayment(for: id, of: order.user, deadline: deadline) { [self] payment in
                findObstacles(of: order, id, payment, deadline: deadline) { [self] obstacles in
                    findRefunds(of: order, id) { refunds in
                        answer(
                            .explanation(
                                Explanation(
                                    id: id, order: order, attempts: attempts, saga: saga, retries: retries,
                                    obstacles: obstacles, payment: payment, refunds: refunds)))
                    }
                }
            }
        }
    }

    /// Finds the refunds of an order; none if they cannot be read, or `batch_init` has replaced it since.
    private func findRefunds(of order: Order, _ id: Identifier, completion: @escaping ([Refund]) -> Void) {
        if order.refunds == 0 { return completion([]) }
        submit(OrderCommand(id, .readRefunds)) { reply in
            guard case .decided(.refunds(let refunds)) = reply else { return completion([]) }
            completion(refunds.filter { $0.id.incarnation == order.incarnation })
        }
    }

    private func findPayment(
        for order: Identifier, of user: Identifier, deadline: Int64, completion: @escaping (Explanation.Payment) -> Void
    ) {
        guard canAskForPayments else { return completion(.unknown) }
        let soon = min(deadline, clock.monotonicMilliseconds + Limits.explanationMilliseconds)
        reads.ask(LedgerCommand(GroupKey(.user, user), .findPayment(order: order)), deadline: soon) { reply in
            switch reply {
            case .decided(.payment(let payment)): completion(payment.map { .made($0) } ?? .none)
            case .decided: completion(.none)
            case .refused, .unknown, .keyed: completion(.unknown)
            }
        }
    }

    private func findObstacles(
        of order: Order, _ id: Identifier, _ payment: Explanation.Payment, deadline: Int64,
        completion: @escaping ([AbortReason]) -> Void
    ) {
        // Whatever else is missing, nobody should add it for this order.
        guard order.status == .open || order.status == .reserved else { return completion([]) }
        if payment.standing(for: order) != nil { return completion([.paidDirectly(order: id)]) }
        if order.lines.isEmpty { return completion([]) }
        // What is reserved for the order is there.
        let legs = order.status == .reserved ? order.legs.suffix(1) : order.legs
        var found: [AbortReason?] = Array(repeating: nil, count: legs.count)
        var pending = legs.count
        let soon = min(deadline, clock.monotonicMilliseconds + Limits.explanationMilliseconds)
        for (index, leg) in legs.enumerated() {
            reads.read(leg.account, deadline: soon) { reply in
                found[index] = leg.obstacle(reply)
                pending -= 1
                if pending == 0 { completion(found.compactMap { $0 }) }
            }
        }
    }
}

extension Order {
    /// The remembered attempts, and the running one as far as it went.
    fileprivate func attempts(_ saga: SagaRecord?, _ trace: SagaTrace?) -> [Attempt] {
        var attempts = history.attempts
        guard let saga else { return attempts }
        if let last = attempts.indices.last, attempts[last].number == saga.id.attempt {
            if let trace { attempts[last].settle(trace) }
        } else {
            attempts.append(
                Attempt(
                    number: saga.id.attempt, begun: saga.begun, legs: saga.legs, traces: trace?.legs ?? [], decision: nil))
        }
        return attempts
    }
}

extension Leg {
    /// The reason why this lock could not be taken now; nil: it could.
    fileprivate func obstacle(_ reply: LedgerReply) -> AbortReason? {
        switch reply {
        case .decided(.account(let state)):
            switch state.refusal(of: amount) {
            case .insufficient(let balance)?: return .insufficient(account: account, wanted: amount, left: balance)
            case .contended?: return .contended(account: account)
            case .reserved(let until)?: return .reserved(account: account, until: until)
            default: return nil
            }
        case .decided: return .unknownAccount(account)
        case .refused, .keyed, .unknown: return .unreachable(account: account)
        }
    }
}
