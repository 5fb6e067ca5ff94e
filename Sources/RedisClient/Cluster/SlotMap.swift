// Which master owns which hash slot. A value: RedisDiscovery finds it, RequestRouter routes by it.

/// The hash slots of a cluster and the masters that own them, as one node sees them.
struct SlotMap: Sendable {
    /// The masters that own slots, in the order of their addresses; behind them those that only redirections have
    /// named.
    private(set) var masters: [RedisAddress]
    /// The nodes that can be asked for a newer map if the masters do not answer.
    let replicas: [RedisAddress]
    /// The newest cluster epoch that the node has heard of. It grows with each failover.
    let epoch: Int64
    /// For each slot the index of its master, or -1.
    private var owners: [Int16]

    init(ranges: [SlotRange], replicas: [RedisAddress], epoch: Int64) {
        masters = Set(ranges.map(\.master)).sorted { ($0.host, $0.port) < ($1.host, $1.port) }
        self.replicas = Set(replicas).subtracting(masters).sorted { ($0.host, $0.port) < ($1.host, $1.port) }
        self.epoch = epoch
        owners = Array(repeating: -1, count: HashSlot.count)
        let indices = Dictionary(uniqueKeysWithValues: zip(masters, masters.indices))
        for range in ranges {
            for slot in range.slots { owners[slot] = Int16(indices[range.master] ?? -1) }
        }
    }

    /// Consecutive slots and their master.
    struct SlotRange {
        let slots: ClosedRange<Int>
        let master: RedisAddress
    }

    /// The master that owns a slot; nil if none is known.
    func owner(of slot: Int) -> RedisAddress? {
        let index = Int(owners[slot])
        return index < 0 ? nil : masters[index]
    }

    /// Whether all slots have the same masters in both maps.
    func hasSameOwners(as other: SlotMap) -> Bool { masters == other.masters && owners == other.owners }

    /// Takes in what a redirection said.
    ///
    /// - Returns: Whether that is news.
    mutating func move(_ slot: Int, to master: RedisAddress) -> Bool {
        if owner(of: slot) == master { return false }
        if let index = masters.firstIndex(of: master) {
            owners[slot] = Int16(index)
        } else if masters.count < Int16.max {
            owners[slot] = Int16(masters.count)
            masters.append(master)
        }
        return true
    }
}
