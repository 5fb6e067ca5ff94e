// What a Redis must be like before it is trusted with a ledger: it evicts nothing, and it either syncs before it
// replies or has replicas.

import NIOCore
import RedisClient

/// Checks the settings of servers.
public enum RedisInspection {
    /// Checks every master.
    ///
    /// - Parameters:
    ///   - replicas: How many replicas of each master commits wait for. With 0 all rests on the masters' disks.
    ///   - completion: Gets the first error that was found.
    public static func check(
        _ client: RedisClient, replicas: Int, completion: @escaping (Result<Void, RedisStoreError>) -> Void
    ) {
        var commands = ["maxmemory-policy", "appendonly", "appendfsync"].map { RedisCommand("CONFIG", "GET", $0) }
        commands.append(RedisCommand("INFO", "replication"))
        client.sendToAllMasters(commands, deadline: RedisStoreLimits.inspectionDeadline) { answers in
            completion(
                Result { () throws(RedisStoreError) in
                    for (address, result) in answers {
                        guard case .success(let replies) = result, replies.count == commands.count else {
                            throw RedisStoreError(
                                description: "\(address) cannot be reached: \(result)", isTransient: true)
                        }
                        try checkReplicas(replies[3], address, replicas)
                        try checkSettings(replies.prefix(3).map(\.configValue), address, replicas)
                    }
                })
        }
    }

    private static func checkReplicas(
        _ info: RESPValue, _ address: RedisAddress, _ replicas: Int
    ) throws(RedisStoreError) {
        let present = info.string.flatMap { RedisInfo.number("connected_slaves", in: $0) } ?? 0
        guard present > replicas else { return }
        let text = """
            \(address) has \(present) replicas, and writes wait for \(replicas): one that lacks a write could become the \
            master. Set --redis-replicas to \(present).
            """
        // Transient, since it may be so for a while after a failover.
        throw RedisStoreError(description: text, isTransient: true)
    }

    private static func checkSettings(
        _ values: [String?], _ address: RedisAddress, _ replicas: Int
    ) throws(RedisStoreError) {
        guard let policy = values[0], let appendOnly = values[1], let sync = values[2] else {
            throw RedisStoreError(
                description: """
                    \(address) does not tell its settings: the user needs the command CONFIG GET, to see that nothing is \
                    evicted.
                    """)
        }
        if policy != "noeviction" {
            throw RedisStoreError(
                description: """
                    \(address) has maxmemory-policy \(policy): it would delete accounts when memory runs out. Set it to noeviction.
                    """)
        }
        if replicas == 0, appendOnly != "yes" || sync != "always" {
            throw RedisStoreError(
                description: """
                    \(address) has appendonly \(appendOnly) and appendfsync \(sync): what it replied could be lost. Set them to yes and \
                    always, or use --redis-replicas.
                    """)
        }
    }
}

extension RESPValue {
    /// The value in a reply to `CONFIG GET name`.
    fileprivate var configValue: String? { pairs?.first?.value.string }
}

/// Reads the text that `INFO` replies: lines of `name:value`.
enum RedisInfo {
    /// The number with a name; nil if it is not there.
    static func number(_ name: String, in text: String) -> Int? {
        for line in text.split(whereSeparator: \.isNewline) where line.hasPrefix(name + ":") {
            return Int(line.dropFirst(name.count + 1))
        }
        return nil
    }
}
