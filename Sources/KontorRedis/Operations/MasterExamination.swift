// What a master must be like before it is trusted with a ledger: it is a master, it evicts nothing, it syncs before it
// replies, and it has no replica that nobody waits for. Pure.

import RedisClient

/// The questions to a master, and what its answers mean.
enum MasterExamination {
    /// Settings that lose what was acknowledged, unless they have these values.
    private static let settings = [
        ("maxmemory-policy", "noeviction", "it would delete accounts when memory runs out"),
        ("appendonly", "yes", "a restart would lose what it replied"),
        ("appendfsync", "always", "a crash would lose what it replied"),
        ("no-appendfsync-on-rewrite", "no", "a crash during a rewrite would lose what it replied"),
    ]

    /// The questions.
    static let commands =
        [RedisCommand("INFO", "replication"), RedisCommand("INFO", "memory")]
        + settings.map { RedisCommand("CONFIG", "GET", $0.0) }

    /// Why a master may not be used; nil if it may.
    ///
    /// - Parameter replies: One for each of ``commands``.
    static func trouble(in replies: [RESPValue], at address: RedisAddress, _ rule: ReplicaRule) -> RedisStoreError? {
        guard replies.count >= commands.count, let replication = replies[0].string else {
            let error = replies.lazy.compactMap(\.errorText).first ?? "it does not answer"
            return RedisStoreError(description: "\(address) cannot be examined: \(error)", isTransient: true)
        }
        // Transient, as a failover may be under way.
        if RedisInfo.text("role", in: replication) != "master" {
            return RedisStoreError(description: "\(address) is not a master (any more)", isTransient: true)
        }
        let present = RedisInfo.number("connected_slaves", in: replication) ?? 0
        if present > rule.replicas {
            return RedisStoreError(
                description: """
                    \(address) has \(present) replicas, and --redis-replicas says \(rule.replicas): one that lacks a write could \
                    become the master. Set --redis-replicas to \(present).
                    """, isTransient: true)
        }
        for ((name, wanted, why), reply) in zip(settings, replies.dropFirst(2)) {
            guard let value = reply.configValue else {
                return RedisStoreError(
                    description: "\(address) does not tell its setting \(name): the user needs the command CONFIG GET.")
            }
            if value != wanted {
                return RedisStoreError(description: "\(address) has \(name) \(value): \(why). Set it to \(wanted).")
            }
        }
        return nil
    }

    /// Whether so much memory is used that nothing new may begin. Redis refuses whatever needs more than `maxmemory`,
    /// and work that has begun needs some to end.
    static func isFull(_ replies: [RESPValue]) -> Bool {
        guard replies.count >= commands.count, let info = replies[1].string else { return false }
        let most = RedisInfo.number("maxmemory", in: info) ?? 0
        let used = RedisInfo.number("used_memory", in: info) ?? 0
        return most > 0 && used > most / 100 * RedisStoreLimits.usedMemoryPercent
    }
}

extension RESPValue {
    /// The value in a reply to `CONFIG GET name`.
    fileprivate var configValue: String? { pairs?.first?.value.string }
}

/// Reads the text that `INFO` replies: lines of `name:value`.
enum RedisInfo {
    /// The text with a name; nil if it is not there.
    static func text(_ name: String, in text: String) -> String? {
        for line in text.split(whereSeparator: \.isNewline) where line.hasPrefix(name + ":") {
            return String(line.dropFirst(name.count + 1))
        }
        return nil
    }

    /// The number with a name; nil if it is not there.
    static func number(_ name: String, in text: String) -> Int? { self.text(name, in: text).flatMap { Int($0) } }
}
