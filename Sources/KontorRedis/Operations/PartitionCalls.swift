// Commands to the partitions of a store, for operators: each is answered, or the whole fails.

import KontorCore
import KontorService
import NIOCore
import RedisClient

/// Calls that RedisEpoch is made of.
enum PartitionCalls {
    /// Sends one command for each partition, and calls `visit` with each reply that is no error.
    static func forEachPartition(
        _ client: RedisClient, command: (Int) -> RedisCommand, visit: @escaping (Int, RESPValue) -> Void,
        completion: @escaping (RedisStoreError?) -> Void
    ) {
        var pending = Partition.count
        var failure: RedisStoreError?
        for partition in 0..<Partition.count {
            ask(client, command(partition), partition: partition) { result in
                switch result {
                case .success(let reply): visit(partition, reply)
                case .failure(let error): failure = error
                }
                pending -= 1
                if pending == 0 { completion(failure) }
            }
        }
    }

    /// Sends one command for a partition; an error of the server is a failure.
    static func ask(
        _ client: RedisClient, _ command: RedisCommand, partition: Int = 0,
        completion: @escaping (Result<RESPValue, RedisStoreError>) -> Void
    ) {
        client.send(
            [command], slot: RedisKeys.slots[partition], lane: .writes, deadline: RedisStoreLimits.inspectionDeadline
        ) { result in
            switch result {
            case .success(let replies):
                guard let reply = replies.first, reply.errorText == nil else {
                    return completion(.failure(unreachable(replies.first?.errorText ?? "the store")))
                }
                completion(.success(reply))
            case .failure(let error): completion(.failure(unreachable("\(error)")))
            }
        }
    }

    static func unreachable(_ what: String) -> RedisStoreError {
        RedisStoreError(description: "The store cannot be reached: \(what)", isTransient: true)
    }

    /// Waits until all replicas that are there have what was written. Of a failover that took it back nobody would know
    /// how far it had come.
    static func confirm(
        _ clients: ArraySlice<RedisClient>, completion: @escaping (Result<Void, RedisStoreError>) -> Void
    ) {
        guard let client = clients.first else { return completion(.success(())) }
        let deadline = RedisStoreLimits.inspectionDeadline
        client.sendToAllMasters([RedisCommand("INFO", "replication")], deadline: deadline) { answers in
            let replicas = answers.map { _, result in
                (try? result.get())?.first?.string.flatMap { RedisInfo.number("connected_slaves", in: $0) } ?? 0
            }
            let wait = RedisCommand("WAIT", "\(replicas.max() ?? 0)", "\(RedisStoreLimits.replicasMilliseconds)")
            // On the connections of the writes.
            client.sendToAllMasters([wait], deadline: deadline) { answers in
                for ((address, result), wanted) in zip(answers, replicas) {
                    let count = (try? result.get())?.first?.int ?? -1
                    guard count >= wanted else {
                        let text = "The replicas of \(address) do not confirm what was written. Repeat it when they are there."
                        return completion(.failure(RedisStoreError(description: text)))
                    }
                }
                confirm(clients.dropFirst(), completion: completion)
            }
        }
    }
}
