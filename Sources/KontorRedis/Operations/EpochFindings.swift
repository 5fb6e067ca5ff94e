// What a store's partitions say about its epoch, and what follows from it. Pure: RedisEpoch reads and writes.

import KontorCore
import KontorService

/// The epochs that were found in the partitions of one store.
struct EpochFindings {
    /// Stands behind an epoch that is not in all stores yet. Nobody serves from such a store; initializing it again
    /// goes on.
    static let pendingMark = UInt8(ascii: "?")

    /// The different epochs, without the mark.
    private(set) var epochs: Set<[UInt8]> = []
    /// How many partitions have an epoch with the mark.
    private(set) var pendingPartitions = 0
    /// How many partitions have none.
    private(set) var partitionsWithout = 0
    /// How many keys are no epochs.
    private(set) var otherKeys = 0

    /// Takes in what one partition has; nil for nothing.
    mutating func add(_ value: [UInt8]?) {
        guard var epoch = value else { return partitionsWithout += 1 }
        if epoch.last == EpochFindings.pendingMark {
            pendingPartitions += 1
            epoch.removeLast()
        }
        epochs.insert(epoch)
    }

    /// Takes in how many keys the store has.
    mutating func setKeys(_ count: Int) { otherKeys = count - (Partition.count - partitionsWithout) }

    /// The epoch of a store that may be served from: it is in every partition, so no master has lost its data.
    func epoch() throws(RedisStoreError) -> [UInt8] {
        if epochs.isEmpty {
            throw RedisStoreError(
                description: """
                    The store is not initialized. If it is new: kontor init --store ... with the stores of all three \
                    services. If it had data, it has lost them: restore them, and do not initialize it.
                    """)
        }
        if pendingPartitions > 0 {
            throw RedisStoreError(
                description: "The store is initialized in part: repeat kontor init with the stores of all three services.")
        }
        guard partitionsWithout == 0, epochs.count == 1, let epoch = epochs.first else {
            throw RedisStoreError(
                description: """
                    A part of the store has lost its data: \(partitionsWithout) of \(Partition.count) \
                    partitions are without the shop's epoch, and \(epochs.count) epochs are there. Restore the \
                    data of the masters concerned.
                    """)
        }
        return epoch
    }

    /// What initializing the stores of a shop has to do.
    enum Initialization {
        /// Nothing: all have the same epoch.
        case isDone
        /// Write the epoch that some have already, or a new one.
        case write(known: [UInt8]?)
    }

    /// Decides whether stores may be initialized: all are empty, or an initialization of all began and did not end.
    static func initialization(of stores: [EpochFindings]) throws(RedisStoreError) -> Initialization {
        let epochs = stores.reduce(into: Set<[UInt8]>()) { $0.formUnion($1.epochs) }
        let isEverywhere = epochs.count == 1 && stores.allSatisfy { $0.partitionsWithout == 0 }
        let isPending = stores.contains { $0.pendingPartitions > 0 }
        if isEverywhere, !isPending { return .isDone }
        let isFinalSomewhere = stores.contains { $0.partitionsWithout + $0.pendingPartitions < Partition.count }
        guard epochs.count <= 1, isEverywhere || !isFinalSomewhere,
            isEverywhere || stores.allSatisfy({ $0.otherKeys == 0 })
        else {
            let states = stores.enumerated().map { number, found in
                "store \(number + 1) has \(found.otherKeys) keys, \(found.epochs.count) epochs, and "
                    + "\(found.partitionsWithout) partitions without one"
            }
            throw RedisStoreError(
                description: """
                    Not initialized, and nothing was changed: the stores are neither all empty nor all of the same shop (\
                    \(states.joined(separator: "; "))). If one of them has lost its data, restore them.
                    """)
        }
        return .write(known: epochs.first)
    }

    /// Whether all partitions of a store have this epoch, with or without the mark.
    func isEverywhere(_ epoch: [UInt8]) -> Bool { epochs == [epoch] && partitionsWithout == 0 }
}
