import KontorSimulation
import TestSupport
import Testing

@testable import KontorCore

@Suite("Checkout saga")
struct SagaTests {
    private let a = GroupKey(.item, id("a"))
    private let b = GroupKey(.item, id("b"))
    private let u = GroupKey(.user, id("u"))

    private func enough() -> SagaWorld { SagaWorld(stock: ["a": 3, "b": 3], credit: 500) }

    @Test("a checkout with enough of everything is paid, and answered once")
    func commits() {
        var world = enough()
        world.run()
        #expect(world.isSoldOnce)
        #expect(world.answers == [.paid])
        #expect(world.ledgers.values.allSatisfy { $0.unindexed == [.head] }, "no marker is left")
    }

    @Test("each shortage is refused with its reason, and all is undone")
    func aborts() {
        var stock = SagaWorld(stock: ["a": 3, "b": 0], credit: 500)
        stock.run()
        #expect(stock.answers == [.refused(.insufficient(account: b, wanted: Amount(1), left: .zero))])
        #expect(stock.isUndone)

        var credit = SagaWorld(stock: ["a": 3, "b": 3], credit: 199)
        credit.run()
        #expect(credit.answers == [.refused(.insufficient(account: u, wanted: Amount(200), left: Amount(199)))])
        #expect(credit.isUndone)

        var unknown = enough()
        unknown.ledgers[b] = nil
        unknown.run()
        #expect(unknown.answers == [.refused(.unknownAccount(b))])
    }

    @Test("the 200 comes after all captures, the 409 after all releases")
    func answersComeLast() {
        var world = enough()
        while world.answers.isEmpty { world.handle(world.receive(world.messages.removeFirst())) }
        #expect(world.saga.record.legs.allSatisfy { world.ledgers[$0.account]?.state?.captured == $0.amount })

        var refused = SagaWorld(stock: ["a": 3, "b": 0], credit: 500)
        while refused.answers.isEmpty { refused.handle(refused.receive(refused.messages.removeFirst())) }
        #expect(refused.book.state?.status == .open)
        #expect(refused.ledgers.values.allSatisfy { $0.state?.held == .zero })
    }

    /// For each message of a checkout: does `disturb` at that message, and expects the same end.
    private func atEachStep(
        of make: () -> SagaWorld, _ disturb: (inout SagaWorld, SagaWorld.Message) -> Void, expect: (SagaWorld, Int) -> Void
    ) {
        var steps = 0
        var isPast = false
        while !isPast {
            var world = make()
            var delivered = 0
            isPast = true
            while !world.hasEnded && delivered < 10_000 {
                if world.messages.isEmpty { world.tick(); continue }
                let message = world.messages.removeFirst()
                if delivered == steps {
                    isPast = false
                    disturb(&world, message)
                } else {
                    world.handle(world.receive(message))
                }
                delivered += 1
            }
            if !isPast { expect(world, steps) }
            steps += 1
        }
        #expect(steps > 8, "a checkout has more messages than that")
    }

    @Test("each step may be repeated")
    func repeatEachStep() {
        atEachStep(of: enough) { world, message in
            let first = world.receive(message)
            let second = world.receive(message)
            world.handle(first)
            world.handle(second)
            world.handle(first)
        } expect: { world, step in
            #expect(world.isSoldOnce && world.answers == [.paid] && world.alarms.isEmpty, "repeated at \(step)")
        }
    }

    @Test("each message may be lost on its way, and each reply on its way back")
    func loseEachMessage() {
        for losesReply in [false, true] {
            atEachStep(of: enough) { world, message in
                if losesReply { _ = world.receive(message) }
                world.lose(message)
            } expect: { world, step in
                #expect(world.isSoldOnce && world.answers == [.paid] && world.alarms.isEmpty, "lost at \(step)")
            }
        }
    }

    @Test("each reply may be unknown, before or after its effect")
    func unknownAtEachStep() {
        for hasEffect in [false, true] {
            atEachStep(of: enough) { world, message in
                if hasEffect { _ = world.receive(message) }
                switch message {
                case .ledger(let leg, let step, let id, _): world.handle(.replied(leg: leg, step, of: id, .unknown))
                case .order(let step, let id, _): world.handle(.orderReplied(to: step, of: id, .unknown))
                }
            } expect: { world, step in
                #expect(world.isSoldOnce && world.answers == [.paid] && world.alarms.isEmpty, "unknown at \(step)")
            }
        }
    }

    @Test("the coordinator may crash at each step, before or after its effect")
    func crashAtEachStep() {
        for hasEffect in [false, true] {
            atEachStep(of: enough) { world, message in
                if hasEffect { _ = world.receive(message) }
                world.crash()
                if world.book.records[.saga] == nil { world.hasEnded = true }
            } expect: { world, step in
                #expect(world.isSoldOnce && world.alarms.isEmpty, "crashed at \(step)")
            }
        }
    }

    @Test("each hold may fail, and everything that was held before it is released")
    func failEachHold() {
        for broken in [a, b, u] {
            var world = enough()
            world.ledgers[broken]?.do(.withdraw(Amount(broken == u ? 500 : 3)))
            world.run()
            #expect(world.isUndone, "\(broken)")
            #expect(world.alarms.isEmpty)
        }
    }

    @Test("releases are repeated until they are acknowledged, also long after the deadline")
    func compensationNeverGivesUp() {
        var world = SagaWorld(stock: ["a": 3, "b": 0], credit: 500)
        for _ in 0..<200 {
            if world.messages.isEmpty { world.tick(); continue }
            let message = world.messages.removeFirst()
            if case .ledger(_, .release, _, _) = message { continue }
            world.handle(world.receive(message))
        }
        #expect(world.now > world.deadline)
        #expect(world.ledgers[a]?.state?.held == Amount(1))
        #expect(world.answers.count == 1, "the abort is durable, so the caller is told at the deadline")
        world.run()
        #expect(world.isUndone)
    }

    @Test("after a commit decision nothing but paid is ever answered")
    func captureNeverGivesUp() {
        var world = enough()
        for _ in 0..<200 {
            if world.messages.isEmpty { world.tick(); continue }
            let message = world.messages.removeFirst()
            if case .ledger(_, .capture, _, _) = message { continue }
            world.handle(world.receive(message))
        }
        #expect(world.now > world.deadline && world.answers.isEmpty)
        world.run()
        #expect(world.isSoldOnce && world.answers == [.paid])
    }

    @Test("a silent participant is given up on at the deadline, and its late hold finds the marker")
    func lateHold() {
        var world = enough()
        var late: SagaWorld.Message?
        while !world.hasEnded {
            if world.messages.isEmpty { world.tick(); continue }
            let message = world.messages.removeFirst()
            if case .ledger(1, .hold, _, _) = message { late = message; continue }
            if case .ledger(1, .release, _, _) = message, let hold = late {
                world.handle(world.receive(message))
                world.handle(world.receive(hold))
                late = nil
                continue
            }
            world.handle(world.receive(message))
        }
        #expect(world.answers == [.refused(.unreachable(account: b))])
        #expect(world.isUndone && world.alarms.isEmpty)
    }

    @Test("contended: all is released, and the next attempt waits in lock order until the amount is free")
    func contendedWaits() {
        let other = sagaID(9, order: "other")
        var world = SagaWorld(stock: ["a": 1, "b": 3], credit: 500)
        // Somebody else's undecided checkout holds the only unit.
        world.ledgers[a]?.do(.hold(other, Amount(1), mayWait: false))
        world.run(steps: 30)
        #expect(!world.hasEnded && world.answers.isEmpty, "nobody is refused because of an undecided checkout")
        #expect(world.saga.record.phase == .holdingInOrder)
        #expect(world.ledgers[b]?.state?.held == .zero, "what comes later in the lock order is not held meanwhile")
        world.ledgers[a]?.do(.release(other, Amount(1)))
        world.run()
        #expect(world.isSoldOnce && world.answers == [.paid])
        #expect(world.book.state?.attempt == 2)
    }

    @Test("contended until the deadline is told as contended, not as sold out")
    func contendedTooLong() {
        var world = SagaWorld(stock: ["a": 1, "b": 3], credit: 500)
        world.ledgers[a]?.do(.hold(sagaID(9, order: "other"), Amount(1), mayWait: false))
        world.run()
        #expect(world.answers == [.refused(.contended(account: a))])
        #expect(world.book.state?.status == .open)
    }

    @Test("a question about an attempt that is over holds up nothing of the next one")
    func questionAboutEarlierAttempt() {
        var world = SagaWorld(stock: ["a": 1, "b": 3], credit: 500)
        world.ledgers[a]?.do(.hold(sagaID(9, order: "other"), Amount(1), mayWait: false))
        var late: [UInt32: SagaWorld.Message] = [:]
        while !world.hasEnded && world.now < world.deadline + 60_000 {
            if world.messages.isEmpty { world.tick(); continue }
            let message = world.messages.removeFirst()
            // The first release of each attempt comes late, and the order answers the question only after that.
            if case .ledger(0, .release, let id, _) = message, late[id.attempt] == nil {
                late[id.attempt] = message
            } else if case .order(.confirm(1, _), _, _) = message, let release = late[1] {
                world.handle(world.receive(release))
            } else {
                world.handle(world.receive(message))
            }
        }
        #expect(world.hasEnded && world.answers == [.refused(.contended(account: a))])
    }

    @Test("messages are repeated in growing pauses, and nothing is asked that still waits (F4)")
    func asksNothingTwice() {
        var world = enough()
        var holds: [Int64] = []
        var questions = 0
        for _ in 0..<4_000 {
            for message in world.messages {
                if case .order = message { questions += 1 } else { holds.append(world.now) }
            }
            world.messages = []
            world.tick(after: 25)
        }
        #expect(Set(holds).count <= 7, "within its deadline of 10 s: at 0, 0.5, 1.5, 3.5, 5.5, 7.5 and 9.5 s, or later")
        #expect(zip(holds.dropFirst(3), holds).allSatisfy { $0 - $1 >= Limits.resendMilliseconds })
        #expect(questions == 1, "the decision is on its way for 90 s, and is not asked again")
    }

    @Test("nothing is sent to accounts that cannot be reached, and what waited is sent soon after they can (F20)")
    func waitsForWhoIsAway() {
        var world = SagaWorld(stock: ["a": 3, "b": 0], credit: 500)
        while !world.messages.contains(where: { if case .ledger(_, .release, _, _) = $0 { true } else { false } }) {
            world.handle(world.receive(world.messages.removeFirst()))
        }
        world.messages = []
        for _ in 0..<2_400 {
            world.now += 25
            world.handle(.tick(unreachable: [.item, .user]))
        }
        #expect(world.messages.isEmpty, "60 s without a message, and without a question to the order")
        let back = world.now
        world.run()
        #expect(world.isUndone && world.now - back < 1_000)
    }

    @Test("two coordinators on one saga: one decides, the other follows", arguments: 1...60)
    func twoCoordinators(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var world = enough()
        var zombie = CheckoutSaga(world.saga.record, begun: 0, deadline: 0)
        var zombieMessages: [SagaWorld.Message] = []
        func collect(_ actions: [CheckoutSaga.Action]) {
            zombieMessages += actions.compactMap { SagaWorld.Message($0, of: zombie.record.id) }
        }
        collect(zombie.start(now: 0))
        collect(zombie.handle(.tick(), now: 1))
        for _ in 0..<500 where !world.hasEnded {
            if Bool.random(using: &random), !zombieMessages.isEmpty {
                let message = zombieMessages.remove(at: Int.random(in: 0..<zombieMessages.count, using: &random))
                collect(zombie.handle(world.receive(message), now: world.now))
            } else if world.messages.isEmpty {
                world.tick()
            } else {
                let message = world.messages.remove(at: Int.random(in: 0..<world.messages.count, using: &random))
                world.handle(world.receive(message))
            }
        }
        #expect(world.hasEnded)
        #expect(world.alarms.isEmpty)
        let status = world.book.state?.status
        #expect(status == .paid ? world.isSoldOnce : world.isUndone)
    }

    @Test("lost, repeated, reordered and crashed at random: sold once or undone, never in between", arguments: 1...300)
    func chaos(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var world = SagaWorld(
            stock: ["a": Int64.random(in: 0...2, using: &random), "b": 2], credit: Bool.random(using: &random) ? 500 : 100)
        var wasAnsweredPaid = false
        for _ in 0..<3_000 where !world.hasEnded {
            if world.messages.isEmpty || Int.random(in: 0..<20, using: &random) == 0 { world.tick(after: 300); continue }
            let message = world.messages.remove(at: Int.random(in: 0..<world.messages.count, using: &random))
            switch Int.random(in: 0..<10, using: &random) {
            case 0: world.lose(message)
            case 1:
                _ = world.receive(message)
                world.lose(message)
            case 2: world.messages.append(message); world.handle(world.receive(message))
            case 3: _ = world.receive(message); world.crash(); world.hasEnded = world.book.records[.saga] == nil
            default: world.handle(world.receive(message))
            }
            wasAnsweredPaid = wasAnsweredPaid || world.answers.contains(.paid)
        }
        #expect(world.hasEnded)
        #expect(world.alarms.isEmpty)
        #expect(world.book.state?.status == .paid ? world.isSoldOnce : world.isUndone)
        if wasAnsweredPaid { #expect(world.book.state?.status == .paid) }
    }
}
