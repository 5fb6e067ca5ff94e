// What a node says of itself and its cluster: reads the replies of CLUSTER INFO and CLUSTER SLOTS. Pure.

/// What a node that was asked turned out to be.
enum ClusterFinding {
    case standalone
    case cluster(ClusterMap)
    /// It cannot be used now, in words for people.
    case unfit(String)

    /// - Parameter asked: The address at which the node answered: nodes leave out their own host if they do not know it.
    init(info: RESPValue, slots: RESPValue, asked: RedisAddress) {
        if let error = info.errorText {
            let isAlone = error.contains("cluster support disabled") || error.hasPrefix("ERR unknown command")
            self = isAlone ? .standalone : .unfit(error)
            return
        }
        let facts = ClusterFinding.facts(info.string ?? "")
        guard facts["cluster_state"] == "ok" else {
            self = .unfit("the node says that its cluster is not ok")
            return
        }
        guard let map = ClusterFinding.map(slots, asked: asked, epoch: Int64(facts["cluster_current_epoch"] ?? "") ?? 0)
        else {
            self = .unfit(slots.errorText ?? "the node's answer to CLUSTER SLOTS is malformed, or names no master")
            return
        }
        self = .cluster(map)
    }

    /// Lines of `name:value`.
    private static func facts(_ text: String) -> [Substring: Substring] {
        var facts: [Substring: Substring] = [:]
        for line in text.split(whereSeparator: \.isNewline) {
            guard let colon = line.firstIndex(of: ":") else { continue }
            facts[line[..<colon]] = line[line.index(after: colon)...]
        }
        return facts
    }

    /// The map in a reply: for each range its first and last slot, its master, and its replicas.
    private static func map(_ reply: RESPValue, asked: RedisAddress, epoch: Int64) -> ClusterMap? {
        guard let entries = reply.elements, !entries.isEmpty else { return nil }
        var ranges: [ClusterMap.SlotRange] = []
        var replicas: [RedisAddress] = []
        for entry in entries {
            guard let parts = entry.elements, parts.count >= 3, let first = parts[0].int, let last = parts[1].int,
                0 <= first, first <= last, last < RedisSlot.count, let master = address(parts[2], asked: asked)
            else { return nil }
            ranges.append(ClusterMap.SlotRange(slots: Int(first)...Int(last), master: master))
            replicas += parts[3...].compactMap { address($0, asked: asked) }
        }
        return ClusterMap(ranges: ranges, replicas: replicas, epoch: epoch)
    }

    /// A node: its preferred endpoint, its port, its id, and since Redis 7 what else is known of it.
    private static func address(_ node: RESPValue, asked: RedisAddress) -> RedisAddress? {
        guard let parts = node.elements, parts.count >= 2, let port = parts[1].int, (1...65_535).contains(port) else {
            return nil
        }
        var host = parts[0].string ?? ""
        if host == "?" {
            // It prefers names, and this node has none.
            let ip = parts.count < 4 ? nil : parts[3].pairs?.first { $0.key.string == "ip" }?.value.string
            guard let ip, !ip.isEmpty else { return nil }
            host = ip
        }
        return RedisAddress(host: host.isEmpty ? asked.host : host, port: Int(port))
    }
}
