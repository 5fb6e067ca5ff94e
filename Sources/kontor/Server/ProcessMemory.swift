// The memory that this process may use, and what its bounds may take of it. Container runtimes kill who takes more.

import Foundation
import KontorCore
import KontorHTTP

enum ProcessMemory {
    /// The bytes that the process may use: the least of the machine's memory and the limits of its control groups.
    static let bytes: Int = ([machineBytes] + groupLimits()).min() ?? machineBytes

    private static var machineBytes: Int { Int(clamping: ProcessInfo.processInfo.physicalMemory) }

    /// The limits of the process's control group and of those above it (cgroups(7)), version 2 and 1.
    private static func groupLimits() -> [Int] {
        let groups = (try? String(contentsOfFile: "/proc/self/cgroup", encoding: .utf8)) ?? ""
        return groups.split(separator: "\n").flatMap { line -> [Int] in
            // `hierarchy:controllers:path`
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
            guard fields.count == 3 else { return [] }
            if fields[1].isEmpty { return limits(below: "/sys/fs/cgroup", fields[2], "memory.max") }
            guard fields[1].split(separator: ",").contains("memory") else { return [] }
            return limits(below: "/sys/fs/cgroup/memory", fields[2], "memory.limit_in_bytes")
        }
    }

    /// The limits in a group and all that it is in. In a container the group's own path may not be there: then the
    /// root is the container's.
    private static func limits(below root: String, _ path: String, _ file: String) -> [Int] {
        var parts = path.split(separator: "/")
        var found: [Int] = []
        while true {
            let name = ([root] + parts.map(String.init) + [file]).joined(separator: "/")
            let text = try? String(contentsOfFile: name, encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)
            // `max` is no limit.
            if let limit = text.flatMap(Int.init) { found.append(limit) }
            if parts.isEmpty { return found }
            parts.removeLast()
        }
    }
}

/// What may be in memory at a time, besides the store's cache.
struct MemoryBounds {
    /// Connections of the public listener.
    let connections: Int
    /// What connections take at worst.
    let connectionBytes: Int
    /// What requests and open checkouts take, of usual size.
    let workBytes: Int

    /// - Parameter openFiles: connections that the system grants.
    init(room: Int = ProcessMemory.bytes, openFiles: Int) {
        let most = max(ServerLimits.fewestConnections, room / ServerLimits.connectionsShare / HTTPLimits.connectionBytes)
        connections = min(openFiles, most)
        connectionBytes = connections * HTTPLimits.connectionBytes + HTTPLimits.busyConnectionsBytes
        workBytes =
            (Limits.requestsInFlight + Limits.readsReserve) * ServerLimits.requestBytes + Limits.openSagas
            * ServerLimits.sagaBytes
    }

    /// For the line in the log that says that the shop serves.
    var facts: [String: String] {
        let mebibytes = { (bytes: Int) in "\(bytes >> 20)" }
        return [
            "memoryMiB": mebibytes(ProcessMemory.bytes), "connections": "\(connections)",
            "connectionsMiB": mebibytes(connectionBytes), "workMiB": mebibytes(workBytes),
        ]
    }
}
