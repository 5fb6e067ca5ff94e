// The epoch of a shop: one random id in every partition of all its stores, written once, when all of them are empty. A
// Redis that has lost its data comes back without it, and is never served from.

import KontorCore
import KontorService
import NIOCore
import RedisClient

/// Reads and writes epochs.
public enum RedisEpoch {
    /// The beginning of the error that says that a store does not have the shop's epoch (any more).
    static let foreign = "EPOCH this is not the store that was initialized"

    /// Reads the epoch of a store that may be served from.
    ///
    /// - Parameter completion: Gets an error if the epoch is not the same one in every partition.
    public static func read(_ client: RedisClient, completion: @escaping (Result<[UInt8], RedisStoreError>) -> Void) {
        find(client) { result in
            completion(result.flatMap { found in Result { () throws(RedisStoreError) in try found.epoch() } })
        }
    }

    /// Writes one epoch to all stores if all are empty; does nothing if all have the same one; refuses otherwise.
    ///
    /// There are two steps: first all stores get the epoch with a mark, then all get it without. So a repetition after
    /// a crash can go on, and a store that was complete and has lost its data is told from one that was never reached.
    ///
    /// - Parameter completion: Gets true if anything was written.
    public static func initialize(
        _ clients: [RedisClient], epoch: [UInt8], completion: @escaping (Result<Bool, RedisStoreError>) -> Void
    ) {
        find(clients[...]) { result in
            do throws(RedisStoreError) {
                guard case .write(let known) = try EpochFindings.initialization(of: result.get()) else {
                    return completion(.success(false))
                }
                let epoch = known ?? epoch
                write(epoch + [EpochFindings.pendingMark], onlyIfAbsent: true, to: clients[...]) { result in
                    if case .failure(let error) = result { return completion(.failure(error)) }
                    removeMark(clients, epoch, completion: completion)
                }
            } catch {
                completion(.failure(error))
            }
        }
    }

    /// Takes the mark away if all partitions have this epoch: another initialization may have run at the same time.
    private static func removeMark(
        _ clients: [RedisClient], _ epoch: [UInt8], completion: @escaping (Result<Bool, RedisStoreError>) -> Void
    ) {
        find(clients[...]) { result in
            switch result {
            case .failure(let error): completion(.failure(error))
            case .success(let stores):
                guard stores.allSatisfy({ $0.isEverywhere(epoch) }) else {
                    let text = "Somebody else initializes these stores. Repeat it when that has ended."
                    return completion(.failure(RedisStoreError(description: text)))
                }
                write(epoch, onlyIfAbsent: false, to: clients[...]) { completion($0.map { true }) }
            }
        }
    }

    /// Looks at one store after the other.
    private static func find(
        _ clients: ArraySlice<RedisClient>, found: [EpochFindings] = [],
        completion: @escaping (Result<[EpochFindings], RedisStoreError>) -> Void
    ) {
        guard let client = clients.first else { return completion(.success(found)) }
        find(client) { result in
            switch result {
            case .failure(let error): completion(.failure(error))
            case .success(let findings): find(clients.dropFirst(), found: found + [findings], completion: completion)
            }
        }
    }

    private static func find(
        _ client: RedisClient, completion: @escaping (Result<EpochFindings, RedisStoreError>) -> Void
    ) {
        var findings = EpochFindings()
        forEachPartition(client, command: { RedisCommand("GET", RedisKeys.epoch($0)) }) { reply in
            findings.add(reply.octets)
        } completion: { error in
            if let error { return completion(.failure(error)) }
            client.sendToAllMasters([RedisCommand("DBSIZE")], deadline: RedisStoreLimits.inspectionDeadline) { answers in
                var keys = 0
                for (address, result) in answers {
                    guard case .success(let replies) = result, let count = replies.first?.int else {
                        return completion(.failure(unreachable("\(address)")))
                    }
                    keys += Int(count)
                }
                findings.setKeys(keys)
                completion(.success(findings))
            }
        }
    }

    /// Writes an epoch to every partition of one store after the other.
    private static func write(
        _ epoch: [UInt8], onlyIfAbsent: Bool, to clients: ArraySlice<RedisClient>,
        completion: @escaping (Result<Void, RedisStoreError>) -> Void
    ) {
        guard let client = clients.first else { return completion(.success(())) }
        func command(_ partition: Int) -> RedisCommand {
            var command = RedisCommand("SET", argumentCount: onlyIfAbsent ? 3 : 2)
            command.append(RedisKeys.epoch(partition))
            command.append(epoch)
            if onlyIfAbsent { command.append("NX") }
            return command
        }
        forEachPartition(client, command: command) { _ in
        } completion: { error in
            if let error { return completion(.failure(error)) }
            write(epoch, onlyIfAbsent: onlyIfAbsent, to: clients.dropFirst(), completion: completion)
        }
    }

    /// Sends one command for each partition, and calls `visit` with each reply that is no error.
    private static func forEachPartition(
        _ client: RedisClient, command: (Int) -> RedisCommand, visit: @escaping (RESPValue) -> Void,
        completion: @escaping (RedisStoreError?) -> Void
    ) {
        var pending = Partition.count
        var failure: RedisStoreError?
        for partition in 0..<Partition.count {
            client.send(
                [command(partition)], slot: RedisKeys.slots[partition], lane: .writes,
                deadline: RedisStoreLimits.inspectionDeadline
            ) { result in
                switch result {
                case .success(let replies):
                    if let reply = replies.first, reply.errorText == nil {
                        visit(reply)
                    } else {
                        failure = unreachable(replies.first?.errorText ?? "the store")
                    }
                case .failure(let error): failure = unreachable("\(error)")
                }
                pending -= 1
                if pending == 0 { completion(failure) }
            }
        }
    }

    private static func unreachable(_ what: String) -> RedisStoreError {
        RedisStoreError(description: "The store cannot be reached: \(what)", isTransient: true)
    }
}
