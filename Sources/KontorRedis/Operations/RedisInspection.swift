// Looks at all masters of a store before it is served from: their settings and roles, and whether the user may do all
// that the shop needs.

import NIOCore
import RedisClient

/// Checks the servers of a store at a start.
public enum RedisInspection {
    /// Checks every master.
    ///
    /// - Parameter completion: Gets the first error that was found.
    public static func check(
        _ client: RedisClient, _ rule: ReplicaRule, completion: @escaping (Result<Void, RedisStoreError>) -> Void
    ) {
        client.sendToAllMasters(MasterExamination.commands, deadline: RedisStoreLimits.inspectionDeadline) { answers in
            if answers.isEmpty {
                return completion(.failure(RedisStoreError(description: "No master is known.", isTransient: true)))
            }
            for (address, result) in answers {
                if let trouble = trouble(in: result, at: address, rule) { return completion(.failure(trouble)) }
            }
            completion(.success(()))
        }
    }

    private static func trouble(
        in result: Result<[RESPValue], RedisClientError>, at address: RedisAddress, _ rule: ReplicaRule
    ) -> RedisStoreError? {
        switch result {
        case .success(let replies): MasterExamination.trouble(in: replies, at: address, rule)
        case .failure(let error):
            RedisStoreError(description: "\(address) cannot be reached: \(error.reason)", isTransient: true)
        }
    }

    /// Runs every command that the shop needs on each master; to be called once it is known that the store is the
    /// shop's. A script does not roll back: one that may not do something half-way leaves half of what it should write.
    ///
    /// - Parameter completion: Gets the first error that was found.
    public static func probe(
        _ client: RedisClient, completion: @escaping (Result<Void, RedisStoreError>) -> Void
    ) {
        probe(client, client.masters[...], completion: completion)
    }

    /// The errors of a server that loads its data, fails over, or is short of something.
    private static let passing = [
        "LOADING", "MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN", "READONLY", "MASTERDOWN", "OOM", "MISCONF", "NOREPLICAS", "BUSY",
    ]

    private static func probe(
        _ client: RedisClient, _ masters: ArraySlice<RedisAddress>,
        completion: @escaping (Result<Void, RedisStoreError>) -> Void
    ) {
        guard let master = masters.first else { return completion(.success(())) }
        guard let slot = RedisKeys.slots.first(where: { client.master(of: $0) == master }),
            let partition = RedisKeys.slots.firstIndex(of: slot)
        else { return probe(client, masters.dropFirst(), completion: completion) }
        client.send(
            ProbeScript.commands(partition), slot: slot, lane: .writes, deadline: RedisStoreLimits.inspectionDeadline
        ) { result in
            switch result {
            case .failure(let error):
                let text = "\(master) cannot be reached: \(error.reason)"
                completion(.failure(RedisStoreError(description: text, isTransient: true)))
            case .success(let replies):
                if let error = replies.lazy.compactMap(\.errorText).first {
                    let text = "\(master) refuses a command that the shop needs: \(error)"
                    let passes = passing.contains { error.hasPrefix($0) }
                    return completion(.failure(RedisStoreError(description: text, isTransient: passes)))
                }
                probe(client, masters.dropFirst(), completion: completion)
            }
        }
    }
}

/// Uses every command of the commit script, of loads and of scans once, on a key of its own.
enum ProbeScript {
    /// The commands, for one partition.
    static func commands(_ partition: Int) -> [RedisCommand] {
        let key = RedisKeys.probe(partition)
        return [
            RedisCommand("EVAL", source, "1", key), RedisCommand("MGET", key),
            RedisCommand("ZRANGEBYLEX", key, "-", "+", "LIMIT", "0", "1"), RedisCommand("WAIT", "0", "1"),
            RedisCommand("TIME"),
        ]
    }

    /// Ends as it began: without the key.
    private static let source = """
        local call, key = redis.call, KEYS[1]
        call('DEL', key)
        call('MGET', key)
        call('MSET', key, '1')
        call('SET', key, '1', 'PX', '1000')
        call('DEL', key)
        call('ZADD', key, '0', 'member')
        call('ZREM', key, 'member')
        return 'OK'
        """
}
