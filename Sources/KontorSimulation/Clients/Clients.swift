// Seeded clients over a network that loses and delays: each wants one thing at a time, and some ask again when no
// answer comes.

import KontorCore
import KontorService

/// All clients of one world, and their requests.
final class Clients {
    let history = History()
    let market = Market()
    private let world: Surroundings
    private let swarm: Swarm
    private let workload: Workload
    private let shop: any ShopFront
    private let random: SeededRandom
    private var isOpen = true
    /// The number of clients with a request under way.
    private(set) var busy = 0
    private var keys = 0
    /// The number of unanswered checkouts of each order.
    private var checkouts: [String: Int] = [:]

    init(_ world: Surroundings, _ swarm: Swarm, _ shop: any ShopFront, _ random: SeededRandom) {
        self.world = world
        self.swarm = swarm
        self.shop = shop
        self.random = random
        workload = Workload(swarm, market)
    }

    /// Starts the clients: each makes one request after the other until ``stop()``.
    func start() {
        for number in 1...swarm.clients {
            let chance = random.fork()
            world.scheduler.after(chance.within(0...swarm.thinking)) { [self] in next("client \(number)", chance) }
        }
    }

    /// Ends the clients: what is under way ends, and nothing follows it.
    func stop() { isOpen = false }

    private func next(_ client: String, _ chance: SeededRandom) {
        guard isOpen else { return }
        busy += 1
        run(workload.draw(chance), by: client, chance) { [self] in
            busy -= 1
            world.scheduler.after(chance.within(0...(2 * swarm.thinking))) { [self] in next(client, chance) }
        }
    }

    /// Makes a client's request, until it is answered or the client gives up.
    func run(
        _ wish: Wish, by client: String, _ chance: SeededRandom, keyed: Bool? = nil, isPatient: Bool = false,
        completion: @escaping () -> Void
    ) {
        var key: String?
        if wish.isWrite, wish.isPlacement || (keyed ?? chance.happens(swarm.keyedPercent)) {
            keys += 1
            key = "key-\(keys)"
        }
        ask(history.begin(wish, by: client, key: key), chance, isPatient: isPatient, completion: completion)
    }

    /// Asks, or asks again.
    func ask(_ action: Action, _ chance: SeededRandom, isPatient: Bool, completion: @escaping () -> Void) {
        let place = action.attempts.count
        if case .checkout(let order) = action.wish {
            if checkouts[order, default: 0] > 0 { world.coverage[.checkoutJoined] += 1 }
            checkouts[order, default: 0] += 1
        }
        let patience = isPatient ? 5_000 : chance.pick(swarm.patience)
        action.attempts.append(Attempt(asked: world.scheduler.now, patience: .milliseconds(patience)))
        world.trace.note(action.client, "\(action.title) asks: \(action.wish)")
        let exchange = Exchange(world, swarm, shop, chance) { [weak action] answer in
            if answer == .initialized { action?.attempts[place].isDoneLate = true }
        }
        exchange.run(action.request, key: action.key, milliseconds: patience) { [self] answer in
            if case .checkout(let order) = action.wish { checkouts[order, default: 0] -= 1 }
            let isReplay = if case .replayed? = answer { true } else { false }
            let told = answer.map { action.wish.told(by: $0) } ?? .nothing
            action.attempts[place].answered = world.scheduler.now
            action.attempts[place].told = told
            action.attempts[place].isReplay = isReplay
            world.trace.note(action.client, "\(action.title) is told \(told)\(isReplay ? " again" : "")")
            if let id = answer?.placed, !history.place(action, as: id.text, at: world.scheduler.now) {
                world.violation("\(action.title): under one key it placed another order before \(id)")
            }
            market.learn(action.wish, told, placed: action.placed?.id)
            note(action, answer)
            if wantsAgain(action, told, chance, isPatient: isPatient) {
                world.scheduler.after(chance.within(.milliseconds(1)...(.milliseconds(200)))) { [self] in
                    ask(action, chance, isPatient: isPatient, completion: completion)
                }
            } else {
                completion()
            }
        }
    }

    private func wantsAgain(_ action: Action, _ told: Told, _ chance: SeededRandom, isPatient: Bool) -> Bool {
        let isIdempotent = action.key != nil || !action.wish.isWrite || action.isOfSaga
        switch told {
        case .nothing: return isIdempotent && (isPatient || (action.attempts.count < 6 && chance.happens(80)))
        // Somebody has changed the order that was placed: it is another one for good.
        case .refused(.key) where action.wish.isPlacement && action.placed != nil: return false
        case .refused(.unavailable), .refused(.key): return isPatient || (action.attempts.count < 6 && chance.happens(60))
        // The client asks again though it was answered: to the shop that looks like a lost answer.
        default: return action.key != nil && action.attempts.count < 3 && !isPatient && chance.happens(10)
        }
    }

    private func note(_ action: Action, _ answer: ShopAnswer?) {
        func count(_ branch: Branch) { world.coverage[branch] += 1 }
        switch (action.wish, action.lastTold) {
        case (.checkout, .done): count(.checkoutPaid)
        case (.place, .done): count(.placedOrderPaid)
        case (.place, .refused) where action.placed != nil: count(.placedOrderNotPaid)
        case (.checkout, .refused(.insufficient(let account, _, _))):
            count(account.hasPrefix("item") ? .outOfStock : .outOfCredit)
        case (_, .refused(.insufficient)): count(.withdrawalRefused)
        case (.checkout, .refused(.unknownAccount)): count(.userUnknown)
        case (_, .refused(.contended)): count(.contendedRefusal)
        case (.cancelPayment, .done): count(.paymentCancelled)
        case (.initItems, .done), (.initUsers, .done), (.initOrders, .done): count(.batchInitRepeated)
        case (.refund(_, let units, _), .refunded):
            count(.refundFinished)
            if units != nil { count(.refundOfPart) }
        default: break
        }
        switch answer {
        case .checkout(.refused(.paidDirectly))?: count(.refusedAsPaidDirectly)
        case .checkout(.notBegun(.isRefunded))?: count(.refusedAsRefunded)
        case .order(.nothingToRefund)?, .order(.exceedsRefundable)?: count(.refundRefused)
        case .checkout(.refused(.reserved))?, .ledger(.reserved)?: count(.refusedAsReserved)
        case .order(.isReserved)?: count(.orderIsReserved)
        case .paidByCheckout?: count(.refusedAsPaid)
        case .orderOfAnotherUser?: count(.orderOfAnotherUser)
        case .replayed?: count(.keyReplayed)
        case .keyed(.leased)?: count(.batchInitLeased)
        case .keyed?: count(.keyInUse)
        case .unknown?: count(.toldUnknown)
        case .unavailable(let error)?:
            count(.noRoom)
            // What cannot be read fails those alone who need it.
            if case .unreadable(let record) = error, let thing = action.wish.onlyThing, !record.hasPrefix("\(thing):") {
                world.violation("\(action.title) is about \(thing), and was refused because \(record) cannot be read")
            }
        case .hasOpenSaga?: count(.batchInitRefused)
        default: break
        }
    }
}

extension Action {
    var title: String { "#\(number)" }
    var isCheckout: Bool { if case .checkout = wish { true } else { wish.isPlacement } }
    /// Whether a saga of an order does what it wants: it may be asked again without a key.
    var isOfSaga: Bool {
        switch wish {
        case .checkout, .reserve, .giveBack, .place: true
        default: false
        }
    }
}

/// Takes the clients' requests.
protocol ShopFront: AnyObject {
    /// - Returns: false if nothing was begun: no process is there, or it has no room.
    func submit(_ request: ShopRequest, name: WriteName?, milliseconds: Int64, caller: SimulatedCaller) -> Bool
}

/// One request on its way to the shop and back.
final class Exchange {
    private let world: Surroundings
    private let swarm: Swarm
    private let shop: any ShopFront
    private let random: SeededRandom
    private var completion: ((ShopAnswer?) -> Void)?
    /// Called with an answer that nobody waits for any more.
    private let late: (ShopAnswer) -> Void

    init(
        _ world: Surroundings, _ swarm: Swarm, _ shop: any ShopFront, _ random: SeededRandom,
        late: @escaping (ShopAnswer) -> Void
    ) {
        self.late = late
        self.world = world
        self.swarm = swarm
        self.shop = shop
        self.random = random
    }

    /// - Parameter completion: called once, with the answer, or with nil if none came in time.
    func run(
        _ request: ShopRequest, key: String?, milliseconds: Int64, completion: @escaping (ShopAnswer?) -> Void
    ) {
        self.completion = completion
        let slack = swarm.hasGateway ? SimulatedGateway.clientSlack : 1_000
        world.scheduler.after(.milliseconds(milliseconds + slack)) { [self] in end(nil) }
        if isHit(swarm.requestLossPercent, .requestLost) { return }
        // An answer after the time-out above is only noted.
        let caller = SimulatedCaller { [weak self, late] answer in
            if let self, self.completion != nil { comeBack(answer, milliseconds) } else { late(answer) }
        }
        world.scheduler.after(latency()) { [self] in
            let note = swarm.hasTrail ? TrailNote(request) : nil
            let name = WriteName(key: key.flatMap { IdempotencyKey($0) }, note: note)
            if !shop.submit(request, name: name, milliseconds: milliseconds, caller: caller) {
                world.scheduler.after(latency()) { [self] in end(.overloaded(.requestsInFlight)) }
            }
        }
    }

    private func comeBack(_ answer: ShopAnswer, _ milliseconds: Int64) {
        if isHit(swarm.answerLossPercent, .answerLost) { return }
        let isLate = isHit(swarm.lateAnswerPercent, .answerLate)
        world.scheduler.after(latency() + (isLate ? .milliseconds(milliseconds + 1_500) : 0)) { [self] in end(answer) }
    }

    private func end(_ answer: ShopAnswer?) {
        completion?(answer)
        completion = nil
    }

    private func isHit(_ percent: Double, _ branch: Branch) -> Bool {
        guard world.isFaulty, random.happens(percent) else { return false }
        world.coverage[branch] += 1
        return true
    }

    private func latency() -> Int64 {
        random.happens(5) ? random.within(.milliseconds(2)...(.milliseconds(100))) : random.within(50...2_000)
    }
}
