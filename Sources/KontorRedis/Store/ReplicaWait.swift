// The confirmation of replicas. A `WAIT` behind a command, on the same connection, tells how many replicas have all
// that the master had written when it executed the command: for a write the write itself, for a read all that was read.
// So what a process says rests on nothing that a failover could take back.

import RedisClient

/// How many replicas masters have, and how many of them must have what is written or read.
public struct ReplicaRule: Hashable, Sendable {
    /// How many replicas each master may have. With 0 all rests on the masters' disks.
    public let replicas: Int
    /// How many of them must confirm. Less than all: service goes on while a replica is away, and a failover to one
    /// that lacked a write loses it.
    public let confirmations: Int

    /// - Parameter confirmations: At least one if there are replicas; nil: all of them.
    public init(replicas: Int = 0, confirmations: Int? = nil) {
        self.replicas = replicas
        self.confirmations = min(replicas, max(1, confirmations ?? replicas))
    }

    /// The `WAIT`; nil without replicas.
    var command: RedisCommand? {
        confirmations > 0
            ? RedisCommand("WAIT", "\(confirmations)", "\(RedisStoreLimits.replicasMilliseconds)") : nil
    }
}

/// The `WAIT` of one store, and what its replies mean.
struct ReplicaWait {
    let rule: ReplicaRule
    /// The trailer of all reads and writes; nil without replicas.
    let command: RedisCommand?

    init(_ rule: ReplicaRule) {
        self.rule = rule
        command = rule.command
    }

    /// How many replicas have too little; nil if enough have what came before the `WAIT`.
    ///
    /// - Parameter replies: Those to a request; the last one is to the `WAIT`.
    func trouble(in replies: [RESPValue]) -> String? {
        guard rule.confirmations > 0 else { return nil }
        guard let count = replies.last?.int else { return replies.last?.errorText ?? "it does not answer WAIT" }
        if count >= rule.confirmations { return nil }
        return "\(count) of its replicas confirm what it has, and \(rule.confirmations) must"
    }
}
