// Which shop a store belongs to: one random id in every partition of all stores of a shop, written once, when all of them are empty. A
// Redis that has lost its data comes back without it, and is never served from.

import KontorCore
import KontorService
import NIOCore

/// Why a store is not served from, or not initialized; in words for operators.
public struct StoreRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String
    /// It may be otherwise soon: nothing was found out.
    public let isTransient: Bool

    public init(description: String, isTransient: Bool = false) {
        self.description = description
        self.isTransient = isTransient
    }
}

/// Reads and writes epochs.
public enum RedisEpoch {
    /// How the trouble begins that says that a store is not ours (any more).
    static let foreign = "EPOCH this is not the store that was initialized"

    /// Behind an epoch that is not yet in all stores: nothing is served, and a repeated initialization goes on.
    private static let pendingMark = UInt8(ascii: "?")

    /// What a store has of epochs.
    struct Findings {
        /// Different ones, without the mark.
        var epochs: Set<[UInt8]> = []
        var pendingPartitions = 0
        var partitionsWithout = 0
        /// Keys that are no epochs.
        var otherKeys = 0
    }

    /// Reads the store's epoch: the same one in every partition, so that no master has lost its data.
    public static func read(_ client: RedisClient, completion: @escaping (Result<[UInt8], StoreRefusal>) -> Void) {
        find(client) { result in
            completion(
                result.flatMap { findings in
                    if findings.epochs.isEmpty {
                        return .failure(
                            StoreRefusal(
                                description: """
                                    The store is not initialized. If it is new: kontor init --store ... with the stores of all three \
                                    services. If it had data, it has lost them: restore them, and do not initialize it.
                                    """))
                    }
                    if findings.pendingPartitions > 0 {
                        return .failure(
                            StoreRefusal(
                                description:
                                    "The store is initialized in part: repeat kontor init with the stores of all three services."
                            ))
                    }
                    guard findings.partitionsWithout == 0, findings.epochs.count == 1, let epoch = findings.epochs.first else {
                        return .failure(
                            StoreRefusal(
                                description: """
                                    A part of the store has lost its data: \(findings.partitionsWithout) of \(Partition.count) \
                                    partitions are without the shop's epoch, and \(findings.epochs.count) epochs are there. Restore the \
                                    data of the masters concerned.
                                    """))
                    }
                    return .success(epoch)
                })
        }
    }

    /// Writes one epoch to all stores if all are empty; does nothing if all bear the same one; else refuses.
    ///
    /// It is done in two steps, first an epoch with a mark in all stores, then without it. So a repetition after a crash can go on, and a
    /// store that was complete and has lost its data is told from one that was never reached.
    /// - Returns: true if it wrote anything.
    public static func initialize(
        _ clients: [RedisClient], epoch: [UInt8], completion: @escaping (Result<Bool, StoreRefusal>) -> Void
    ) {
        gather(clients) { result in
            switch result {
            case .failure(let refusal): completion(.failure(refusal))
            case .success(let findings):
                let epochs = findings.reduce(into: Set<[UInt8]>()) { $0.formUnion($1.epochs) }
                let isEverywhere = epochs.count == 1 && findings.allSatisfy { $0.partitionsWithout == 0 }
                let isPending = findings.contains { $0.pendingPartitions > 0 }
                if isEverywhere, !isPending { return completion(.success(false)) }
                let isFinalSomewhere = findings.contains { $0.partitionsWithout + $0.pendingPartitions < Partition.count }
                guard epochs.count <= 1, isEverywhere || !isFinalSomewhere,
                    isEverywhere || findings.allSatisfy({ $0.otherKeys == 0 })
                else {
                    return completion(.failure(refusal(of: findings)))
                }
                let epoch = epochs.first ?? epoch
                write(epoch + [pendingMark], onlyIfAbsent: true, to: clients[...]) { result in
                    if case .failure(let refusal) = result { return completion(.failure(refusal)) }
                    finish(clients, epoch, completion: completion)
                }
            }
        }
    }

    /// Takes the mark away, if it was this initialization that set it: another one may have run at the same time.
    private static func finish(
        _ clients: [RedisClient], _ epoch: [UInt8], completion: @escaping (Result<Bool, StoreRefusal>) -> Void
    ) {
        gather(clients) { result in
            switch result {
            case .failure(let refusal): completion(.failure(refusal))
            case .success(let findings):
                guard findings.allSatisfy({ $0.epochs == [epoch] && $0.partitionsWithout == 0 }) else {
                    return completion(
                        .failure(
                            StoreRefusal(description: "Somebody else initializes these stores. Repeat it when that has ended."))
                    )
                }
                write(epoch, onlyIfAbsent: false, to: clients[...]) { completion($0.map { true }) }
            }
        }
    }

    private static func refusal(of findings: [Findings]) -> StoreRefusal {
        let states = findings.enumerated().map { number, found in
            "store \(number + 1) has \(found.otherKeys) keys, \(found.epochs.count) epochs, and \(found.partitionsWithout) "
                + "partitions without one"
        }
        return StoreRefusal(
            description: """
                Not initialized, and nothing was changed: the stores are neither all empty nor all of the same shop (\
                \(states.joined(separator: "; "))). If one of them has lost its data, restore them.
                """)
    }

    private static func gather(
        _ clients: [RedisClient], completion: @escaping (Result<[Findings], StoreRefusal>) -> Void
    ) {
        var found: [Findings] = []
        func next(_ rest: ArraySlice<RedisClient>) {
            guard let client = rest.first else { return completion(.success(found)) }
            find(client) { result in
                switch result {
                case .failure(let refusal): completion(.failure(refusal))
                case .success(let findings):
                    found.append(findings)
                    next(rest.dropFirst())
                }
            }
        }
        next(clients[...])
    }

    private static func find(_ client: RedisClient, completion: @escaping (Result<Findings, StoreRefusal>) -> Void) {
        var findings = Findings()
        forEachPartition(client, command: { RedisCommand("GET", RedisKeys.epoch($0)) }) { reply in
            guard var epoch = reply.octets else { return findings.partitionsWithout += 1 }
            if epoch.last == pendingMark {
                findings.pendingPartitions += 1
                epoch.removeLast()
            }
            findings.epochs.insert(epoch)
        } completion: { refusal in
            if let refusal { return completion(.failure(refusal)) }
            client.sendToAllMasters([RedisCommand("DBSIZE")], deadline: deadline) { answers in
                var keys = 0
                for (address, result) in answers {
                    guard case .success(let replies) = result, let count = replies.first?.int else {
                        return completion(.failure(unreadable("\(address)")))
                    }
                    keys += Int(count)
                }
                findings.otherKeys = keys - (Partition.count - findings.partitionsWithout)
                completion(.success(findings))
            }
        }
    }

    private static func write(
        _ epoch: [UInt8], onlyIfAbsent: Bool, to clients: ArraySlice<RedisClient>,
        completion: @escaping (Result<Void, StoreRefusal>) -> Void
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
        } completion: { refusal in
            if let refusal { return completion(.failure(refusal)) }
            write(epoch, onlyIfAbsent: onlyIfAbsent, to: clients.dropFirst(), completion: completion)
        }
    }

    private static func forEachPartition(
        _ client: RedisClient, command: (Int) -> RedisCommand, visit: @escaping (RESPValue) -> Void,
        completion: @escaping (StoreRefusal?) -> Void
    ) {
        var pending = Partition.count
        var refusal: StoreRefusal?
        for partition in 0..<Partition.count {
            client.send(
                [command(partition)], slot: RedisKeys.slots[partition], lane: .writes, deadline: deadline
            ) { result in
                switch result {
                case .success(let replies):
                    if let reply = replies.first, reply.errorText == nil {
                        visit(reply)
                    } else {
                        refusal = unreadable(replies.first?.errorText ?? "the store")
                    }
                case .failure(let failure): refusal = unreadable("\(failure)")
                }
                pending -= 1
                if pending == 0 { completion(refusal) }
            }
        }
    }

    private static var deadline: NIODeadline { .now() + .seconds(10) }

    private static func unreadable(_ what: String) -> StoreRefusal {
        StoreRefusal(description: "The store cannot be reached: \(what)", isTransient: true)
    }
}
