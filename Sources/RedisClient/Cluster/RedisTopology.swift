// What is known of the store's nodes, and which reports of theirs are believed. Pure.

/// The form of the store, and the nodes that own its slots.
struct RedisTopology {
    enum Form {
        case unknown
        case standalone(RedisAddress)
        case cluster(SlotMap)
    }

    /// What a node's report changed.
    enum Change {
        /// Nothing: it is not believed, for this reason.
        case refused(String)
        case same
        case changed
    }

    private(set) var form = Form.unknown
    /// How many slot maps of an older epoch were refused in a row.
    private var olderMaps = 0

    var isCluster: Bool {
        if case .cluster = form { return true }
        return false
    }

    var isKnown: Bool {
        if case .unknown = form { return false }
        return true
    }

    /// The nodes that own slots; of a standalone server that one.
    var masters: [RedisAddress] {
        switch form {
        case .unknown: []
        case .standalone(let address): [address]
        case .cluster(let map): map.masters
        }
    }

    var replicas: [RedisAddress] {
        if case .cluster(let map) = form { return map.replicas }
        return []
    }

    /// The node that owns a slot; nil if none is known.
    func owner(of slot: Int) -> RedisAddress? {
        switch form {
        case .unknown: nil
        case .standalone(let address): address
        case .cluster(let map): map.owner(of: slot)
        }
    }

    /// Takes in what a node said, if it is believed.
    mutating func learn(_ report: NodeReport, from address: RedisAddress) -> Change {
        switch (form, report) {
        case (_, .unusable(let reason)): return .refused(reason)
        case (.unknown, .standalone): form = .standalone(address)
        case (.standalone, .standalone): return .same
        case (.cluster, .standalone): return .refused("the node is in no cluster any more")
        case (.standalone, .cluster): return .refused("the node is in a cluster now")
        case (.unknown, .cluster(let map)): form = .cluster(map)
        case (.cluster(let known), .cluster(let map)):
            if map.epoch < known.epoch && olderMaps < RedisClientLimits.olderMapsRefused {
                olderMaps += 1
                return .refused("the node has not heard of the latest failover")
            }
            olderMaps = 0
            form = .cluster(map)
            if known.hasSameOwners(as: map) { return .same }
        }
        return .changed
    }

    /// Takes in what a redirection said.
    ///
    /// - Returns: Whether that is news.
    mutating func move(_ slot: Int, to address: RedisAddress) -> Bool {
        guard case .cluster(var map) = form else { return false }
        // Lets go of the map first: changing it then copies nothing.
        form = .unknown
        let isNews = map.move(slot, to: address)
        form = .cluster(map)
        return isNews
    }
}
