// Listening, for both forms of the shop: addresses that can be bound, and file descriptors for connections.

import Foundation
import KontorHTTP
import NIOCore

/// Why the shop did not start, in words.
struct StartError: Error, CustomStringConvertible {
    let description: String
}

/// The files that the process may have open: each connection is one, and the store must always find some.
enum OpenFiles {
    /// Descriptors for the store, the listeners and the event loop.
    private static let reserved = 128
    /// Connections of the operators' listener.
    static let operatorConnections = 32

    /// Below so few connections a shop would refuse nearly all of its clients.
    private static let fewestConnections = 64

    /// The most connections of the public listener, after the limit was raised. Both listeners have a reserve besides.
    static func connections() throws -> Int {
        let limit = raiseLimit()
        let others = reserved + operatorConnections + 2 * HTTPLimits.reservedConnections
        guard limit >= others + fewestConnections else {
            throw StartError(
                description: "it may have only \(limit) files open (`ulimit -n`), and each connection is one. "
                    + "Allow at least \(others + fewestConnections), better 20000")
        }
        return min(HTTPLimits.connections, limit - others)
    }

    /// Raises the process's limit as far as this user may, and gives it.
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
    /// Starts to listen; throws an error in words for operators.
    static func started(
        _ host: String, _ port: Int, _ group: any EventLoopGroup, _ service: HTTPService, first: ConnectionFilter? = nil
    ) throws -> HTTPListener {
        do {
            return try bind(host: host, port: port, group: group, service: service, first: first).wait()
        } catch {
            throw StartError(description: "it cannot listen on \(host):\(port): \(reason(error)). \(advice(error, port))")
        }
    }

    private static func reason(_ error: any Error) -> String {
        switch error {
        case let error as IOError: String(cString: strerror(error.errnoCode)).lowercased()
        case is SocketAddressError.UnknownHost: "that name stands for no address"
        default: "\(error)"
        }
    }

    private static func advice(_ error: any Error, _ port: Int) -> String {
        switch (error as? IOError)?.errnoCode {
        case EADDRINUSE: "Another process has that port (`ss -ltnp | grep :\(port)` names it): end it, or choose another port"
        case EACCES: "Ports below 1024 are for the system: choose another"
        case EADDRNOTAVAIL: "This machine does not have that address: give one that `ip address` shows, or 0.0.0.0 for all"
        default: "Choose another address or port"
        }
    }
}
