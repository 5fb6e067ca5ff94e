// A gateway in front of replicas, as `deploy/gateway` configures nginx: it stamps each write, waits longer than the
// deadline, and sends a second copy to any replica. The first copy stays in the socket of a process that is paused.

import KontorCore
import KontorService

/// Gives each request to a replica, and writes twice when no answer comes.
final class SimulatedGateway {
    private let world: Surroundings
    private let random: SeededRandom
    private let clock: SimulatedClock
    /// Gives a request to any replica; false if there is none, or it takes nothing.
    private let send: (ShopRequest, WriteName?, _ milliseconds: Int64, SimulatedCaller) -> Bool

    /// How much longer than the deadline a copy is waited for, milliseconds.
    private static let margin: Int64 = 500
    /// The deadline of a second copy, milliseconds.
    private static let deadlineAgain: Int64 = 2_500
    /// How long a client may have to wait beyond its own deadline, milliseconds.
    static let clientSlack = 2 * margin + deadlineAgain + 1_000

    init(
        _ world: Surroundings, _ random: SeededRandom, _ clock: SimulatedClock,
        send: @escaping (ShopRequest, WriteName?, Int64, SimulatedCaller) -> Bool
    ) {
        self.world = world
        self.random = random
        self.clock = clock
        self.send = send
    }

    func submit(_ request: ShopRequest, _ name: WriteName?, milliseconds: Int64, caller: SimulatedCaller) -> Bool {
        if request.isRead { return send(request, name, milliseconds, caller) }
        guard let first = stamp(isRepeated: false, sent: clock.wallMilliseconds, id(random)) else { return false }
        let named = WriteName(key: name?.key, stamp: first.stamp, note: name?.note)
        if request.isBatchInit { return send(request, named, milliseconds, caller) }
        deliver(request, named, milliseconds) { [self] answer, isLate in
            if isLate { return noteLate(answer) }
            if let answer, answer != .unknown, !answer.isOverloaded, answer != .keyed(.late) { return caller.answer(answer) }
            again(request, name, first, milliseconds, caller)
        }
        return true
    }

    private func again(
        _ request: ShopRequest, _ name: WriteName?, _ first: (stamp: RequestStamp, digits: String), _ milliseconds: Int64,
        _ caller: SimulatedCaller
    ) {
        world.coverage[.gatewayRepeated] += 1
        let second = stamp(isRepeated: true, sent: first.stamp.sent, first.digits)
        let named = WriteName(key: name?.key, stamp: second?.stamp, note: name?.note)
        deliver(request, named, min(milliseconds, Self.deadlineAgain)) {
            [self] answer, isLate in
            if isLate { return noteLate(answer) }
            // A refusal for want of room says nothing of the first copy.
            guard let answer, !answer.isOverloaded else { return caller.answer(.unknown) }
            if answer.isRefusal { world.coverage[.copyRefused] += 1 }
            caller.answer(answer)
        }
    }

    /// Sends one copy.
    ///
    /// - Parameter ended: called with the answer, or with nil if none came in time; and once more if it comes later.
    private func deliver(
        _ request: ShopRequest, _ name: WriteName?, _ milliseconds: Int64,
        ended: @escaping (ShopAnswer?, _ isLate: Bool) -> Void
    ) {
        var isOver = false
        let caller = SimulatedCaller { [world] answer in
            world.scheduler.after(0) {
                ended(answer, isOver)
                isOver = true
            }
        }
        let isTaken = send(request, name, milliseconds, caller)
        world.scheduler.after(isTaken ? .milliseconds(milliseconds + Self.margin) : 100) {
            if isOver { return }
            isOver = true
            ended(nil, false)
        }
    }

    private func noteLate(_ answer: ShopAnswer?) {
        if answer == .keyed(.late) { world.coverage[.copyCameLate] += 1 }
    }

    private func id(_ random: SeededRandom) -> String {
        let digits = String(random.next(), radix: 16) + String(random.next(), radix: 16)
        return String(repeating: "0", count: 32 - digits.count) + digits
    }

    private func stamp(isRepeated: Bool, sent: Int64, _ digits: String) -> (stamp: RequestStamp, digits: String)? {
        RequestStamp(request: digits, sent: sent, isRepeated: isRepeated).map { ($0, digits) }
    }
}
