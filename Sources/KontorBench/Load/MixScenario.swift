// The six scenarios of the public stress test (test/stress), many at a time: what a shop's clients do all day, with
// what goes wrong.

/// Runs rounds of the six scripts. A round is a client of its own, with items, a user and an order that did not exist
/// before, so it knows what each answer must be: a round that buys what is not there and is answered 200 is one of the
/// ``contradictions``.
public final class MixScenario: Scenario {
    /// One request of a round.
    enum Step: Equatable {
        case createItem
        /// The items of a round are numbered in the order of their creation.
        case addStock(item: Int)
        /// Takes out all that ``addStock(item:)`` put in.
        case sellOut(item: Int)
        case createUser
        case addFunds
        case createOrder
        case addItem(Int)
        case removeItem(Int)
        case checkOut(status: Int)
    }

    /// The steps of one scenario, and how many of a hundred rounds follow it.
    struct Script {
        let weight: Int
        let steps: [Step]
    }

    static let scripts = [
        // 1: an item is created and stocked.
        Script(weight: 5, steps: [.createItem, .addStock(item: 0)]),
        // 2: an order of one item is checked out.
        Script(weight: 30, steps: stocked + customer + [.addItem(0), .checkOut(status: 200)]),
        // 3: an order of two items is checked out.
        Script(
            weight: 25,
            steps: stocked + [.createItem, .addStock(item: 1)] + customer
                + [.addItem(0), .addItem(1), .checkOut(status: 200)]),
        // 4: an item is added, removed, and added again.
        Script(weight: 20, steps: stocked + customer + [.addItem(0), .removeItem(0), .addItem(0), .checkOut(status: 200)]),
        // 5: the second item is gone before the checkout.
        Script(
            weight: 10,
            steps: stocked + [.createItem, .addStock(item: 1)] + customer
                + [.addItem(0), .addItem(1), .sellOut(item: 1), .checkOut(status: 409)]),
        // 6: the user has no credit.
        Script(weight: 10, steps: stocked + [.createUser, .createOrder, .addItem(0), .checkOut(status: 409)]),
    ]

    private static let price = 5
    private static let units = 10
    private static let credit = 100
    private static let stocked: [Step] = [.createItem, .addStock(item: 0)]
    private static let customer: [Step] = [.createUser, .addFunds, .createOrder]

    private struct Round {
        let script: Int
        var step = 0
        var items: [[UInt8]] = []
        var user: [UInt8] = []
        var order: [UInt8] = []
    }

    private var started = 0
    private var rounds: [Int: Round] = [:]
    /// Numbers of the rounds whose next step may be asked for.
    private var ready: [Int] = []
    /// How many rounds of each script were answered as they should be.
    public private(set) var completed = [Int](repeating: 0, count: scripts.count)
    /// How many rounds ended with an answer that says nothing about the shop's rules, such as 504.
    public private(set) var abandoned = 0
    public private(set) var contradictions: [String] = []

    public init() {}

    public func next(into request: inout RequestBuffer) -> Ticket? {
        if let number = ready.popLast(), let round = rounds[number] {
            write(round, into: &request)
            return Ticket(number)
        }
        started += 1
        let round = Round(script: Self.script(started))
        rounds[started] = round
        write(round, into: &request)
        return Ticket(started)
    }

    /// The script that the round of this number follows: drawn at random, but the same in each run (SplitMix64).
    private static func script(_ number: Int) -> Int {
        var mixed = UInt64(number) &* 0x9E37_79B9_7F4A_7C15
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        var place = Int((mixed ^ (mixed >> 31)) % 100)
        for (index, script) in scripts.enumerated() {
            if place < script.weight { return index }
            place -= script.weight
        }
        return 0
    }

    public func answered(_ ticket: Ticket, status: Int, body: UnsafeRawBufferPointer) {
        guard var round = rounds[ticket.number] else { return }
        let step = Self.scripts[round.script].steps[round.step]
        if status == 429 {
            ready.append(ticket.number)
            return
        }
        guard status == Self.expectedStatus(step), Self.take(step, body, into: &round) else {
            rounds[ticket.number] = nil
            return giveUp(round, step, status)
        }
        round.step += 1
        if round.step == Self.scripts[round.script].steps.count {
            rounds[ticket.number] = nil
            completed[round.script] += 1
        } else {
            rounds[ticket.number] = round
            ready.append(ticket.number)
        }
    }

    private static func expectedStatus(_ step: Step) -> Int {
        if case .checkOut(let status) = step { return status }
        return 200
    }

    /// Keeps the id of what was created.
    /// - Returns: false if there should be one and is none.
    private static func take(_ step: Step, _ body: UnsafeRawBufferPointer, into round: inout Round) -> Bool {
        switch step {
        case .createItem, .createUser, .createOrder: break
        default: return true
        }
        guard let id = AnswerBody.createdID(in: body) else { return false }
        switch step {
        case .createItem: round.items.append(id)
        case .createUser: round.user = id
        default: round.order = id
        }
        return true
    }

    private func giveUp(_ round: Round, _ step: Step, _ status: Int) {
        switch status {
        // The answer says what happened, and it is wrong: nobody else knows these items, this user or this order.
        case 200..<300, 400, 404, 405, 409, 422:
            guard contradictions.count < 10 else { return }
            contradictions.append(
                "scenario \(round.script + 1): \(step) was answered with \(status), order \(String(decoding: round.order, as: UTF8.self))"
            )
        default: abandoned += 1
        }
    }

    private func write(_ round: Round, into request: inout RequestBuffer) {
        switch Self.scripts[round.script].steps[round.step] {
        case .createItem:
            request.append("POST /stock/item/create/")
            request.append(number: Self.price)
        case .addStock(let item):
            request.append("POST /stock/add/")
            request.append(round.items[item])
            request.append("/")
            request.append(number: Self.units)
        case .sellOut(let item):
            request.append("POST /stock/subtract/")
            request.append(round.items[item])
            request.append("/")
            request.append(number: Self.units)
        case .createUser: request.append("POST /payment/create_user")
        case .addFunds:
            request.append("POST /payment/add_funds/")
            request.append(round.user)
            request.append("/")
            request.append(number: Self.credit)
        case .createOrder:
            request.append("POST /orders/create/")
            request.append(round.user)
        case .addItem(let item):
            request.append("POST /orders/addItem/")
            request.append(round.order)
            request.append("/")
            request.append(round.items[item])
            request.append("/1")
        case .removeItem(let item):
            request.append("DELETE /orders/removeItem/")
            request.append(round.order)
            request.append("/")
            request.append(round.items[item])
        case .checkOut:
            request.append("POST /orders/checkout/")
            request.append(round.order)
        }
        request.endHead()
    }
}
