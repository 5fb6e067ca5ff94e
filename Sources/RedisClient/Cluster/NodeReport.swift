// What a node says about itself and its cluster: reads the replies to CLUSTER INFO and CLUSTER SLOTS. Pure.

/// What a node says that it is.
enum NodeReport {
    case standalone
    case cluster(SlotMap)
    /// It cannot be used now, for this reason.
    case unusable(String)

    /// - Parameters:
    ///   - info: The reply to `CLUSTER INFO`.
    ///   - slots: The reply to `CLUSTER SLOTS`.
    ///   - asked: The address at which the node answered: a node leaves out its own host if it does not know it.
    init(info: RESPValue, slots: RESPValue, asked: RedisAddress) {
        if let error = info.errorText {
            let isAlone = error.contains("cluster support disabled") || error.hasPrefix("ERR unknown command")
            self = isAlone ? .standalone : .unusable(error)
            return
        }
        let facts = NodeReport.facts(info.string ?? "")
        guard facts["cluster_state"] == "ok" else {
            self = .unusable("the node says that its cluster is not ok")
            return
        }
        guard let map = NodeReport.map(slots, asked: asked, epoch: Int64(facts["cluster_current_epoch"] ?? "") ?? 0)
        else {
            self = .unusable(slots.errorText ?? "the node's answer to CLUSTER SLOTS is malformed, or names no master")
            return
        }
        self = .cluster(map)
    }

    /// Reads lines of `name:value`.
    private static func facts(_ text: String) -> [Substring: Substring] {
        var facts: [Substring: Substring] = [:]
        for line in text.split(whereSeparator: \.isNewline) {
            guard let colon = line.firstIndex(of: ":") else { continue }
            facts[line[..<colon]] = line[line.index(after: colon)...]
        }
        return facts
    }

    /// Reads the slot map. A range has its first and last slot, its master, and its replicas. nil if the reply is
    /// malformed or empty.
    private static func map(_ reply: RESPValue, asked: RedisAddress, epoch: Int64) -> SlotMap? {
        guard let entries = reply.elements, !entries.isEmpty else { return nil }
        var ranges: [SlotMap.SlotRange] = []
        var replicas: [RedisAddress] = []
        for entry in entries {
            guard let parts = entry.elements, parts.count >= 3, let first = parts[0].int, let last = parts[1].int,
                0 <= first, first <= last, last < HashSlot.count, let master = address(parts[2], asked: asked)
            else { return nil }
            ranges.append(SlotMap.SlotRange(slots: Int(first)...Int(last), master: master))
            replicas += parts[3...].compactMap { address($0, asked: asked) }
        }
        return SlotMap(ranges: ranges, replicas: replicas, epoch: epoch)
    }

    /// Reads a node's address. A node has its preferred endpoint, its port, its id, and since Redis 7 more facts. nil
    /// if it is malformed, or has no address.
    private static func address(_ node: RESPValue, asked: RedisAddress) -> RedisAddress? {
        guard let parts = node.elements, parts.count >= 2, let port = parts[1].int, (1...65_535).contains(port) else {
            return nil
        }
        var host = parts[0].string ?? ""
        if host == "?" {
            // The cluster prefers names, and this node has none.
            let ip = parts.count < 4 ? nil : parts[3].pairs?.first { $0.key.string == "ip" }?.value.string
            guard let ip, !ip.isEmpty else { return nil }
            host = ip
        }
        return RedisAddress(host: host.isEmpty ? asked.host : host, port: Int(port))
    }
}
