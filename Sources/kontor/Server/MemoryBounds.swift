// What the bounds of connections and of work may take of the memory that this process may use.

import KontorCore
import KontorHTTP
import KontorTLS

/// What may be in memory at a time, besides the store's cache.
struct MemoryBounds {
    /// Connections of the public listener.
    let connections: Int
    /// What connections take at worst.
    let connectionBytes: Int
    /// What requests and open checkouts take, of usual size.
    let workBytes: Int

    /// - Parameter openFiles: connections that the system grants.
    init(room: Int = MachineMemory.bytes, openFiles: Int, isTLS: Bool = false) {
        let oneBytes = HTTPLimits.connectionBytes + (isTLS ? TLSLimits.connectionBytes : 0)
        let most = max(ServerLimits.fewestConnections, room / ServerLimits.connectionsShare / oneBytes)
        connections = min(openFiles, most)
        connectionBytes = connections * oneBytes + HTTPLimits.busyConnectionsBytes
        workBytes =
            (Limits.requestsInFlight + Limits.readsReserve) * ServerLimits.requestBytes + Limits.openSagas
            * ServerLimits.sagaBytes
    }

    /// For the line in the log that says that the shop serves.
    var facts: [String: String] {
        let mebibytes = { (bytes: Int) in "\(bytes >> 20)" }
        return [
            "memoryMiB": mebibytes(MachineMemory.bytes), "connections": "\(connections)",
            "connectionsMiB": mebibytes(connectionBytes), "workMiB": mebibytes(workBytes),
        ]
    }
}
