// Which nodes there are: begins searches, believes or refuses what they find, and moves what waits to new masters.

import NIOCore

extension RedisClient {
    /// Looks for a newer slot map, soon.
    func seekMap() {
        if isCluster && !isClosed { discovery?.want() }
    }

    func giveUpStarting() {
        guard let (completion, timer) = starting else { return }
        starting = nil
        timer.cancel()
        discovery?.stop()
        let reason = lastDiscoveryFailure ?? "no node has answered"
        later { completion(.failure(.notSent(reason))) }
    }

    private func finishStarting() {
        guard let (completion, timer) = starting else { return }
        starting = nil
        timer.cancel()
        completion(.success(()))
    }

    /// Forgets nodes that own nothing any more, and sends what waits to those that do.
    private func followMap() {
        let masters = Set(topology.masters)
        var waiting: [RedisUnit] = []
        for (key, link) in links {
            if masters.contains(key.address) {
                waiting += link.takeWaiting { $0.pinned == nil && $0.asked == nil }
            } else {
                waiting += link.takeWaiting()
                links[key] = nil
                if link.isConnected { retired.append(link) }
                link.retire()
            }
        }
        for unit in waiting { dispatch(unit) }
    }
}

extension RedisClient: RedisDiscoveryOwner {
    /// Masters that answer, then replicas, then those that do not answer, then the seeds.
    var candidates: [RedisAddress] {
        let failing = Set(links.values.filter(\.isFailing).map(\.key.address))
        let masters = topology.masters
        let nodes = masters.filter { !failing.contains($0) } + topology.replicas + masters.filter { failing.contains($0) }
        return nodes + options.seeds.filter { !nodes.contains($0) }
    }

    func learn(_ finding: ClusterFinding, from address: RedisAddress) -> RedisTopology.Change {
        topology.learn(finding, from: address)
    }

    func discovered(_ change: RedisTopology.Change) {
        lastDiscoveryFailure = nil
        loggedFailures = []
        if case .changed = change {
            let masters = topology.masters.map(\.description).joined(separator: " ")
            log("the nodes of the store are known", ["form": isCluster ? "cluster" : "standalone", "masters": masters])
            didChange?()
        }
        // Also if nothing is new: redirections may have said it all, and what waited before them still waits.
        followMap()
        finishStarting()
    }

    func discoveryFailed(_ reason: String, at address: RedisAddress) {
        let failure = "\(address): \(reason)"
        lastDiscoveryFailure = failure
        guard loggedFailures.count < RedisLimits.loggedFailures, loggedFailures.insert(failure).inserted else { return }
        log("a node cannot be used", ["node": address.description, "reason": reason])
    }
}
