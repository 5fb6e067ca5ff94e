// Commands that are sent together, and all that decides where and how often they are sent.

import NIOCore

/// The connection of a node that a request takes: one for reads and one for writes, so that reads do not queue behind
/// `WAIT`.
public enum RedisLane: Hashable, Sendable {
    /// For requests without effects: they are sent again whenever that may help.
    case reads
    /// For requests with effects: they are never sent again once they may have been executed.
    case writes
}

/// A request from ``RedisClient/send(_:then:slot:lane:deadline:completion:)`` until its completion. At any time exactly
/// one part of the client holds it: a connection, a queue before a connection, or the queue of retries.
final class RedisRequest {
    typealias Completion = (Result<[RESPValue], RedisClientError>) -> Void

    let commands: [RedisCommand]
    /// The command that is sent once behind all requests of a turn that have it; nil for none.
    let trailer: RedisCommand?
    /// The size of the encoded commands, without the trailer.
    let byteCount: Int
    let slot: Int
    let lane: RedisLane
    let deadline: NIODeadline
    let completion: Completion
    /// The node that the request is for, whatever the slot map says; nil if the slot decides.
    let pinnedNode: RedisAddress?

    /// The node that an `ASK` redirection named for the next attempt; nil if the slot decides.
    var askedNode: RedisAddress?
    /// The replies to the latest attempt.
    var replies: [RESPValue] = []
    /// How many attempts were refused or lost.
    var attempts = 0
    /// Why the latest attempt was not executed; nil if there was none.
    var lastReason: String?

    init(
        _ commands: [RedisCommand], then trailer: RedisCommand? = nil, slot: Int, lane: RedisLane, deadline: NIODeadline,
        pinnedTo pinnedNode: RedisAddress? = nil, completion: @escaping Completion
    ) {
        precondition(!commands.isEmpty, "a request has no command")
        precondition(commands.allSatisfy { $0.missing == 0 }, "a command lacks arguments that were announced")
        precondition((0..<HashSlot.count).contains(slot), "a request is for a slot that no cluster has")
        self.commands = commands
        self.trailer = trailer
        byteCount = commands.reduce(0) { $0 + $1.encoded.readableBytes }
        self.slot = slot
        self.lane = lane
        self.deadline = deadline
        self.pinnedNode = pinnedNode
        self.completion = completion
        replies.reserveCapacity(commands.count)
    }
}
