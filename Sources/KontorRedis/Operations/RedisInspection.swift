// What must be so at a Redis before it is trusted with a ledger: it evicts nothing, and it syncs before it replies, or has replicas.

import NIOCore

/// A look at a server's settings.
public enum RedisInspection {
    /// Looks at every master.
    ///
    /// - Parameter replicas: that commits wait for. Without them all rests on the master's disk.
    public static func check(
        _ client: RedisClient, replicas: Int, completion: @escaping (Result<Void, StoreRefusal>) -> Void
    ) {
        var unit = ["maxmemory-policy", "appendonly", "appendfsync"].map { RedisCommand("CONFIG", "GET", $0) }
        unit.append(RedisCommand("INFO", "replication"))
        client.sendToAllMasters(unit, deadline: .now() + .seconds(10)) { answers in
            for (address, result) in answers {
                guard case .success(let replies) = result, replies.count == unit.count else {
                    return completion(
                        .failure(StoreRefusal(description: "\(address) cannot be reached: \(result)", isTransient: true)))
                }
                let present = replies[3].string.flatMap { RedisInfo.number("connected_slaves", in: $0) } ?? 0
                if present > replicas {
                    // After failovers it may be so for a while.
                    let text = """
                        \(address) has \(present) replicas, and writes wait for \(replicas): one that lacks a write could become the \
                        master. Set --redis-replicas to \(present).
                        """
                    return completion(.failure(StoreRefusal(description: text, isTransient: true)))
                }
                if let refusal = refusal(replies.prefix(3).map(\.configValue), "\(address)", replicas) {
                    return completion(.failure(refusal))
                }
            }
            completion(.success(()))
        }
    }

    private static func refusal(_ values: [String?], _ address: String, _ replicas: Int) -> StoreRefusal? {
        guard let policy = values[0], let appendOnly = values[1], let sync = values[2] else {
            return StoreRefusal(
                description:
                    "\(address) does not tell its settings: the user needs the command CONFIG GET, to see that nothing is evicted."
            )
        }
        if policy != "noeviction" {
            return StoreRefusal(
                description: """
                    \(address) has maxmemory-policy \(policy): it would delete accounts when memory runs out. Set it to noeviction.
                    """)
        }
        if replicas == 0, appendOnly != "yes" || sync != "always" {
            return StoreRefusal(
                description: """
                    \(address) has appendonly \(appendOnly) and appendfsync \(sync): what it replied could be lost. Set them to yes and \
                    always, or use --redis-replicas.
                    """)
        }
        return nil
    }
}

extension RESPValue {
    /// The value in a reply to `CONFIG GET name`.
    fileprivate var configValue: String? {
        pairs?.first?.value.string
    }
}

/// The text that `INFO` replies: `name:value` lines.
enum RedisInfo {
    static func number(_ name: String, in text: String) -> Int? {
        for line in text.split(whereSeparator: \.isNewline) where line.hasPrefix(name + ":") {
            return Int(line.dropFirst(name.count + 1))
        }
        return nil
    }
}
