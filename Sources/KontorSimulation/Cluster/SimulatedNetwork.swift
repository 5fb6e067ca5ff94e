// The network between the processes of a cluster. Each message crosses it as the bytes of a frame, as over a link, and
// may be lost, doubled and late.

import KontorCore
import KontorService

/// Carries messages between simulated processes.
final class SimulatedNetwork {
    /// A request that has arrived: where its reply goes, and the asking process's number for it.
    private struct Delivery {
        weak var asker: SimulatedLinks?
        let number: UInt32
        /// Whether it was answered `contended`: the next reply may be its grant.
        var hasWaited = false
    }

    private let world: Surroundings
    private let swarm: Swarm
    private let random: SeededRandom
    /// Gives any process that serves a kind; nil: none is there, or none can be reached.
    private let target: (GroupKey.Kind) -> ShopProcess?
    /// What links tell about the processes that serve a kind.
    let state: (GroupKey.Kind) -> PeerState
    /// Whether processes get replies that come twice, in this world.
    let bringsCopies: Bool
    private var deliveries: [UInt64: Delivery] = [:]
    private var lastDelivery: UInt64 = 0

    init(
        _ world: Surroundings, _ swarm: Swarm, _ random: SeededRandom, state: @escaping (GroupKey.Kind) -> PeerState,
        target: @escaping (GroupKey.Kind) -> ShopProcess?
    ) {
        self.state = state
        self.world = world
        self.swarm = swarm
        self.random = random
        self.target = target
        bringsCopies = random.happens(50)
    }

    /// The replies that one process waits for at a time.
    var pendingReplies: Int { swarm.pendingReplies }

    /// Carries a request to any process that serves its recipient.
    func send(_ request: NumberedMessage, to kind: GroupKey.Kind, from asker: SimulatedLinks) {
        carry(request) { [weak self, weak asker] arrived in
            guard let self, let process = target(kind) else { return }
            lastDelivery += 1
            deliveries[lastDelivery] = Delivery(asker: asker, number: arrived.number)
            process.receive([Message(.link(lastDelivery, number: arrived.number), arrived.body)])
        }
    }

    /// Carries a reply back to the process that asked, if that still lives.
    func send(_ reply: Message) {
        guard case .link(let name, _) = reply.origin, let delivery = deliveries[name] else { return }
        watch(reply.body, name)
        carry(NumberedMessage(number: delivery.number, reply.body)) { delivery.asker?.receive($0) }
    }

    private func watch(_ reply: Message.Body, _ name: UInt64) {
        switch reply {
        case .ledgerReply(.decided(.anomaly(.lateHold))): world.coverage[.lateHoldRefused] += 1
        case .ledgerReply(.decided(.anomaly(.untimelyRefund))): world.coverage[.untimelyRefund] += 1
        case .ledgerReply(.decided(.contended)):
            // The hold's grant may follow.
            deliveries[name]?.hasWaited = true
            return
        case .ledgerReply(.decided(.held)) where deliveries[name]?.hasWaited == true: world.coverage[.waitGranted] += 1
        default: break
        }
        deliveries[name] = nil
    }

    /// Encodes a message, and delivers what is read from its bytes: once, twice or never, and in any order.
    private func carry(_ message: NumberedMessage, deliver: @escaping (NumberedMessage) -> Void) {
        var writer = FrameWriter()
        guard writer.add(message) else { return world.violation("a message is too large for a frame: \(message)") }
        let bytes = writer.take()
        send { [world] in
            do {
                let arrived = try Frame(bytes[Frame.lengthBytes...]).messages()
                // What the format of messages has no place for is left out.
                var again = FrameWriter()
                for copy in arrived { _ = again.add(copy) }
                if again.take() != bytes { world.violation("a message was read as another one: \(message)") }
                arrived.forEach(deliver)
            } catch {
                world.violation("a message cannot be read: \(message): \(error)")
            }
        }
    }

    private func send(_ deliver: @escaping () -> Void) {
        if isHit(swarm.messageLossPercent, .messageLost) { return }
        for _ in 0..<(isHit(swarm.messageDoublePercent, .messageDoubled) ? 2 : 1) {
            if isHit(swarm.messageLatePercent, .messageLate) {
                // A message that is still late when the faults end is lost.
                world.scheduler.after(random.within(.milliseconds(100)...swarm.messageLateMost)) { [world] in
                    if world.isFaulty { deliver() }
                }
            } else {
                world.scheduler.after(random.within(20...3_000), deliver)
            }
        }
    }

    private func isHit(_ percent: Double, _ branch: Branch) -> Bool {
        guard world.isFaulty, random.happens(percent) else { return false }
        world.coverage[branch] += 1
        return true
    }
}

/// One process's access to the network: as a link does, it knows which of its requests a reply answers.
final class SimulatedLinks: Transport {
    private let network: SimulatedNetwork
    private let clock: SimulatedClock
    private weak var process: ShopProcess?
    /// Called with each request before it leaves.
    private let willSend: (Message) -> Void
    private var pending: PendingReplies
    /// The origins of all requests, by their numbers. A link drops the second reply to a request; in half of the worlds
    /// the process gets it all the same, because sagas must bear that. nil: second replies are dropped.
    private var askers: [UInt32: Message.Origin]?

    init(
        _ network: SimulatedNetwork, _ process: ShopProcess, _ clock: SimulatedClock, willSend: @escaping (Message) -> Void
    ) {
        self.network = network
        pending = PendingReplies(bound: network.pendingReplies)
        self.process = process
        self.clock = clock
        self.willSend = willSend
        if network.bringsCopies { askers = [:] }
    }

    /// Drops the replies to all requests so far: they were for an instance of the shop that has ended.
    func forgetReplies() {
        pending.forgetAll()
        if askers != nil { askers = [:] }
    }

    func send(_ messages: [Message]) {
        let now = clock.monotonicMilliseconds
        for message in messages {
            if let recipient = message.recipient {
                willSend(message)
                pending.forget(before: now - Limits.pendingReplyMilliseconds)
                guard let request = pending.number(message, now: now) else { continue }
                askers?[request.number] = message.origin
                network.send(request, to: recipient.kind, from: self)
            } else {
                network.send(message)
            }
        }
    }

    func peers(of kind: GroupKey.Kind) -> PeerState { network.state(kind) }

    /// Replies that it waits for.
    var pendingReplies: Int { pending.count }

    /// Takes a reply from the network.
    func receive(_ reply: NumberedMessage) {
        // The network mixes nothing up, so a reply's kind always fits its request.
        if let message = try? pending.reply(reply) {
            process?.receive([message])
        } else if let origin = askers?[reply.number] {
            process?.receive([Message(origin, reply.body)])
        }
    }
}
