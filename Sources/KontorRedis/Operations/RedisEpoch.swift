// The epoch of a shop: one random id in every partition of all its stores, written once, when all of them are empty. A
// Redis that has lost its data comes back without it, and is never served from.

import KontorCore
import KontorService
import NIOCore
import RedisClient

/// Reads and writes epochs, and what a store bears beside its epoch.
public enum RedisEpoch {
    /// The beginning of the error that says that a store does not have the shop's epoch (any more).
    static let foreign = "EPOCH this is not the store that was initialized"

    /// The length of the secret from which ids are derived: as long as the hash that uses it.
    public static let secretBytes = 32

    /// Reads the epoch of a store that may be served from.
    ///
    /// - Parameter completion: Gets an error if the epoch is not the same one in every partition.
    public static func read(
        _ client: RedisClient, completion: @escaping (Result<StoreEpoch, RedisStoreError>) -> Void
    ) {
        find(client) { result in
            completion(result.flatMap { found in Result { () throws(RedisStoreError) in try found.epoch() } })
        }
    }

    /// Reads the secret that the store bears; nil for a store in format 3, which has none.
    ///
    /// - Parameter completion: Gets an error if a store in a newer format has none (any more).
    public static func readSecret(
        _ client: RedisClient, _ epoch: StoreEpoch, completion: @escaping (Result<[UInt8]?, RedisStoreError>) -> Void
    ) {
        if epoch.format == .three { return completion(.success(nil)) }
        PartitionCalls.ask(client, RedisCommand("GET", RedisKeys.secret)) { result in
            completion(
                result.flatMap { reply in
                    if let secret = reply.octets, secret.count == secretBytes { return .success(secret) }
                    let text = "The store has lost the secret that ids are derived from. Restore the data of its masters."
                    return .failure(RedisStoreError(description: text))
                })
        }
    }

    /// Makes a store that of a service, if it is nobody's yet. Refuses if it is another service's.
    public static func claim(
        _ client: RedisClient, for service: GroupKey.Kind, completion: @escaping (Result<Void, RedisStoreError>) -> Void
    ) {
        PartitionCalls.ask(client, RedisCommand("SET", RedisKeys.service, service.serviceName, "NX")) { result in
            if case .failure(let error) = result { return completion(.failure(error)) }
            PartitionCalls.ask(client, RedisCommand("GET", RedisKeys.service)) { result in
                completion(
                    result.flatMap { reply in
                        let owner = reply.string ?? "nobody"
                        if owner == service.serviceName { return .success(()) }
                        return .failure(
                            RedisStoreError(
                                description: """
                                    The store is that of the service \(owner), and this is the service \
                                    \(service.serviceName): --store names the wrong Redis.
                                    """))
                    })
            }
        }
    }

    /// Writes one epoch to all stores if all are empty; does nothing if all have the same one; refuses otherwise.
    ///
    /// There are two steps: first all stores get the epoch with a mark, then all get it without. So a repetition after
    /// a crash can go on, and a store that was complete and has lost its data is told from one that was never reached.
    ///
    /// - Parameters:
    ///   - shop: The id of the shop.
    ///   - secrets: Draws a secret.
    ///   - completion: Gets true if anything was written.
    public static func initialize(
        _ clients: [RedisClient], shop: [UInt8], secrets: @escaping () -> [UInt8],
        completion: @escaping (Result<Bool, RedisStoreError>) -> Void
    ) {
        find(clients[...]) { result in
            do throws(RedisStoreError) {
                guard case .write(let known) = try EpochFindings.initialization(of: result.get()) else {
                    return completion(.success(false))
                }
                let shop = known ?? shop
                write({ _ in shop + [EpochCopy.pendingMark] }, onlyIfAbsent: true, to: clients[...]) { result in
                    if case .failure(let error) = result { return completion(.failure(error)) }
                    removeMark(clients, shop, secrets, completion: completion)
                }
            } catch {
                completion(.failure(error))
            }
        }
    }

    /// Takes the mark away if all partitions have this epoch: another initialization may have run at the same time.
    private static func removeMark(
        _ clients: [RedisClient], _ shop: [UInt8], _ secrets: @escaping () -> [UInt8],
        completion: @escaping (Result<Bool, RedisStoreError>) -> Void
    ) {
        find(clients[...]) { result in
            switch result {
            case .failure(let error): completion(.failure(error))
            case .success(let stores):
                guard stores.allSatisfy({ $0.isEverywhere(shop) }) else {
                    let text = "Somebody else initializes these stores. Repeat it when that has ended."
                    return completion(.failure(RedisStoreError(description: text)))
                }
                // An older release may have begun it.
                let isOld = stores.contains { $0.formats.contains(RecordFormat.three.rawValue) }
                // Empty lists are complete.
                RedisLists.confirm(isOld ? [] : clients[...]) { result in
                    if case .failure(let error) = result { return completion(.failure(error)) }
                    raise(clients, StoreEpoch(shop: shop, format: isOld ? .three : .newest), secrets) {
                        completion($0.map { true })
                    }
                }
            }
        }
    }

    /// Raises the format of all stores to the newest one, once no process of an older release runs over them.
    ///
    /// - Parameter completion: Gets true if anything was written.
    public static func upgrade(
        _ clients: [RedisClient], secrets: @escaping () -> [UInt8],
        completion: @escaping (Result<Bool, RedisStoreError>) -> Void
    ) {
        find(clients[...]) { result in
            do throws(RedisStoreError) {
                let stores = try result.get()
                let shops = try stores.map { store throws(RedisStoreError) in try store.shop() }
                guard Set(shops).count == 1 else {
                    throw RedisStoreError(
                        description: "Not upgraded, and nothing was changed: the stores are of different shops.")
                }
                if let newer = stores.flatMap(\.formats).compactMap({ $0 }).max(), newer > RecordFormat.newest.rawValue {
                    throw RedisStoreError(
                        description: "Not upgraded, and nothing was changed: the stores are in format \(newer), which is newer."
                    )
                }
                if stores.allSatisfy({ $0.formats == [RecordFormat.newest.rawValue] }) { return completion(.success(false)) }
                raise(clients, StoreEpoch(shop: shops[0]), secrets) { completion($0.map { true }) }
            } catch {
                completion(.failure(error))
            }
        }
    }

    /// Writes the epoch to all stores. What a format needs beside the epoch comes first: a store that says that it has
    /// the format has all of it.
    private static func raise(
        _ clients: [RedisClient], _ epoch: StoreEpoch, _ secrets: @escaping () -> [UInt8],
        completion: @escaping (Result<Void, RedisStoreError>) -> Void
    ) {
        let copies = epoch.copies
        writeSecrets(epoch.format == .three ? [] : clients[...], secrets) { result in
            if case .failure = result { return completion(result) }
            PartitionCalls.confirm(clients[...]) { result in
                if case .failure = result { return completion(result) }
                write({ copies[$0] }, onlyIfAbsent: false, to: clients[...]) { result in
                    if case .failure = result { return completion(result) }
                    PartitionCalls.confirm(clients[...], completion: completion)
                }
            }
        }
    }

    private static func writeSecrets(
        _ clients: ArraySlice<RedisClient>, _ secrets: @escaping () -> [UInt8],
        completion: @escaping (Result<Void, RedisStoreError>) -> Void
    ) {
        guard let client = clients.first else { return completion(.success(())) }
        var command = RedisCommand("SET", argumentCount: 3)
        command.append(RedisKeys.secret)
        command.append(secrets())
        command.append("NX")
        PartitionCalls.ask(client, command) { result in
            if case .failure(let error) = result { return completion(.failure(error)) }
            writeSecrets(clients.dropFirst(), secrets, completion: completion)
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
        let read = { (partition: Int) in RedisCommand("GET", RedisKeys.epoch(partition)) }
        PartitionCalls.forEachPartition(client, command: read) { partition, reply in
            findings.add(reply.octets, of: partition)
        } completion: { error in
            if let error { return completion(.failure(error)) }
            client.sendToAllMasters([RedisCommand("DBSIZE")], deadline: RedisStoreLimits.inspectionDeadline) { answers in
                var keys = 0
                for (address, result) in answers {
                    guard case .success(let replies) = result, let count = replies.first?.int else {
                        return completion(.failure(PartitionCalls.unreachable("\(address)")))
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
        _ epoch: @escaping (_ partition: Int) -> [UInt8], onlyIfAbsent: Bool, to clients: ArraySlice<RedisClient>,
        completion: @escaping (Result<Void, RedisStoreError>) -> Void
    ) {
        guard let client = clients.first else { return completion(.success(())) }
        func command(_ partition: Int) -> RedisCommand {
            var command = RedisCommand("SET", argumentCount: onlyIfAbsent ? 3 : 2)
            command.append(RedisKeys.epoch(partition))
            command.append(epoch(partition))
            if onlyIfAbsent { command.append("NX") }
            return command
        }
        PartitionCalls.forEachPartition(client, command: command) { _, _ in
        } completion: { error in
            if let error { return completion(.failure(error)) }
            write(epoch, onlyIfAbsent: onlyIfAbsent, to: clients.dropFirst(), completion: completion)
        }
    }
}
