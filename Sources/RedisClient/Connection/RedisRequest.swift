// Commands that belong together, on their way: where they go, until when, and who waits for the replies.

import NIOCore

/// A unit while it is being sent. Exactly one of its owners holds it: a connection, a link, or the client.
final class RedisUnit {
    typealias Completion = (Result<[RESPValue], RedisFailure>) -> Void

    let commands: [RedisCommand]
    /// See ``RedisClient/send(_:then:slot:lane:deadline:completion:)``.
    let trailer: RedisCommand?
    let byteCount: Int
    let slot: Int
    let lane: RedisLane
    let deadline: NIODeadline
    let completion: Completion
    /// The node that it is for, whatever the slot map says.
    let pinned: RedisAddress?

    /// The node that the owner of its slot told it to ask, once.
    var asked: RedisAddress?
    /// Replies to the latest sending.
    var replies: [RESPValue] = []
    var attempts = 0
    /// When it may be sent again.
    var dueAt = NIODeadline.uptimeNanoseconds(0)
    /// Why it was not executed so far.
    var lastReason: String?

    init(
        _ commands: [RedisCommand], then trailer: RedisCommand? = nil, slot: Int, lane: RedisLane, deadline: NIODeadline,
        pinned: RedisAddress? = nil, completion: @escaping Completion
    ) {
        precondition(!commands.isEmpty, "a unit has no command")
        precondition(commands.allSatisfy { $0.missing == 0 }, "a command has not the arguments that were announced")
        precondition((0..<RedisSlot.count).contains(slot), "a unit is for a slot that no cluster has")
        self.commands = commands
        self.trailer = trailer
        byteCount = commands.reduce(0) { $0 + $1.encoded.readableBytes }
        self.slot = slot
        self.lane = lane
        self.deadline = deadline
        self.pinned = pinned
        self.completion = completion
        replies.reserveCapacity(commands.count)
    }
}
