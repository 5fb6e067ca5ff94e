// What servers of both forms need to listen: an address that can be bound, and descriptors for their connections.

import Foundation
import KontorHTTP
import NIOCore

/// Why the shop did not start, for people.
struct StartError: Error, CustomStringConvertible {
    let description: String
}

/// Files that the process may have open: each connection is one, and the store must never be without.
enum OpenFiles {
    /// For the store, the listeners and the event loop.
    private static let reserved = 128
    /// Of the operators' listener.
    static let operatorConnections = 32

    /// What the public listener may have, after the limit was raised.
    static func connections() -> Int { min(HTTPLimits.connections, raiseLimit() - reserved) }

    /// Raises the limit as far as this user may.
    private static func raiseLimit() -> Int {
        var limit = rlimit()
        let files = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        guard getrlimit(files, &limit) == 0 else { return 1_024 }
        limit.rlim_cur = limit.rlim_max
        setrlimit(files, &limit)
        getrlimit(files, &limit)
        return Int(clamping: limit.rlim_cur)
    }
}

extension HTTPListener {
    /// Listens, or throws what an operator must read.
    static func started(
        _ host: String, _ port: Int, _ group: any EventLoopGroup, _ service: HTTPService, first: ConnectionFilter? = nil
    ) throws -> HTTPListener {
        do {
            return try bind(host: host, port: port, group: group, service: service, first: first).wait()
        } catch {
            throw StartError(description: "it cannot listen on \(host):\(port): \(error)")
        }
    }
}
