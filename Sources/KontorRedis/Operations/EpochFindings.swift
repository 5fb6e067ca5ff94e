// What a store's partitions say about its epoch, and what follows from it. Pure: RedisEpoch reads and writes.

import KontorCore
import KontorService

/// The epochs that were found in the partitions of one store.
struct EpochFindings {
    /// The ids of the shops.
    private(set) var shops: Set<[UInt8]> = []
    /// The formats of the copies without the mark; nil: a copy that cannot be read.
    private(set) var formats: Set<UInt8?> = []
    /// How many partitions have an epoch with the mark.
    private(set) var pendingPartitions = 0
    /// How many partitions have none.
    private(set) var partitionsWithout = 0
    /// How many keys are no epochs.
    private(set) var otherKeys = 0

    /// Takes in what one partition has; nil for nothing.
    mutating func add(_ value: [UInt8]?, of partition: Int) {
        guard let value else { return partitionsWithout += 1 }
        let copy = EpochCopy(value, of: partition)
        shops.insert(copy.shop)
        if copy.isPending { pendingPartitions += 1 } else { formats.insert(copy.format) }
    }

    /// Takes in how many keys the store has.
    mutating func setKeys(_ count: Int) { otherKeys = count - (Partition.count - partitionsWithout) }

    /// The id of the shop that the store belongs to: it is in every partition, so no master has lost its data.
    func shop() throws(RedisStoreError) -> [UInt8] {
        if shops.isEmpty {
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
        guard partitionsWithout == 0, shops.count == 1, let shop = shops.first, !formats.contains(nil) else {
            throw RedisStoreError(
                description: """
                    A part of the store has lost its data: \(partitionsWithout) of \(Partition.count) \
                    partitions are without the shop's epoch, and \(shops.count) epochs are there. Restore the \
                    data of the masters concerned.
                    """)
        }
        return shop
    }

    /// The epoch of a store that may be served from.
    func epoch() throws(RedisStoreError) -> StoreEpoch {
        let shop = try shop()
        let numbers = formats.compactMap { $0 }
        guard let newest = numbers.max(), let format = RecordFormat(rawValue: newest) else {
            throw RedisStoreError(
                description: """
                    The store is written in format \(numbers.max() ?? 0), and this release of kontor knows formats up to \
                    \(RecordFormat.newest.rawValue): use the release that wrote it, or a newer one.
                    """)
        }
        guard numbers.count == 1 else {
            // Transient: the command may be at work now.
            throw RedisStoreError(
                description: "The store is upgraded in part: repeat kontor upgrade --finish with the stores of all three services.",
                isTransient: true)
        }
        return StoreEpoch(shop: shop, format: format)
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
        let shops = stores.reduce(into: Set<[UInt8]>()) { $0.formUnion($1.shops) }
        let isEverywhere = shops.count == 1 && stores.allSatisfy { $0.partitionsWithout == 0 }
        let isPending = stores.contains { $0.pendingPartitions > 0 }
        if isEverywhere, !isPending { return .isDone }
        let isFinalSomewhere = stores.contains { $0.partitionsWithout + $0.pendingPartitions < Partition.count }
        guard shops.count <= 1, isEverywhere || !isFinalSomewhere,
            isEverywhere || stores.allSatisfy({ $0.otherKeys == 0 })
        else {
            let states = stores.enumerated().map { number, found in
                "store \(number + 1) has \(found.otherKeys) keys, \(found.shops.count) epochs, and "
                    + "\(found.partitionsWithout) partitions without one"
            }
            throw RedisStoreError(
                description: """
                    Not initialized, and nothing was changed: the stores are neither all empty nor all of the same shop (\
                    \(states.joined(separator: "; "))). If one of them has lost its data, restore them.
                    """)
        }
        return .write(known: shops.first)
    }

    /// Whether all partitions of a store have this shop's epoch, with or without the mark.
    func isEverywhere(_ shop: [UInt8]) -> Bool { shops == [shop] && partitionsWithout == 0 }
}
