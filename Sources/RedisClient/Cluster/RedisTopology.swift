// What is known of the store's form, and which findings are believed. Pure.

/// Whom to send what.
struct RedisTopology {
    enum Form {
        case unknown
        case standalone(RedisAddress)
        case cluster(ClusterMap)
    }

    /// What a finding changed.
    enum Change {
        /// It is not believed; in words for people.
        case refused(String)
        case same
        case changed
    }

    private(set) var form = Form.unknown
    private var olderMaps = 0

    var isCluster: Bool {
        if case .cluster = form { return true }
        return false
    }

    var isKnown: Bool {
        if case .unknown = form { return false }
        return true
    }

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

    func owner(of slot: Int) -> RedisAddress? {
        switch form {
        case .unknown: nil
        case .standalone(let address): address
        case .cluster(let map): map.owner(of: slot)
        }
    }

    /// Takes in what a node said.
    mutating func learn(_ finding: ClusterFinding, from address: RedisAddress) -> Change {
        switch (form, finding) {
        case (_, .unfit(let reason)): return .refused(reason)
        case (.unknown, .standalone): form = .standalone(address)
        case (.standalone, .standalone): return .same
        case (.cluster, .standalone): return .refused("the node is in no cluster any more")
        case (.standalone, .cluster): return .refused("the node is in a cluster now")
        case (.unknown, .cluster(let map)): form = .cluster(map)
        case (.cluster(let known), .cluster(let map)):
            if map.epoch < known.epoch && olderMaps < RedisLimits.olderMapsRefused {
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
    /// - Returns: whether that is news.
    mutating func move(_ slot: Int, to address: RedisAddress) -> Bool {
        guard case .cluster(var map) = form else { return false }
        // Else the copy would be a real one.
        form = .unknown
        let isNews = map.move(slot, to: address)
        form = .cluster(map)
        return isNews
    }
}
