// Resolves names to all their addresses: a name may stand for several replicas. The system's resolver blocks, so it has
// a thread.

import NIOCore
import NIOPosix

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Finds the addresses of names.
package protocol LinkResolver: Sendable {
    /// The addresses of a URL's name. Fails if the name cannot be resolved now.
    func resolve(_ url: LinkURL, on eventLoop: any EventLoop) -> EventLoopFuture<[SocketAddress]>
}

package struct SystemResolver: LinkResolver {
    package init() {}

    private struct ResolutionError: Error, CustomStringConvertible { let description: String }

    package func resolve(_ url: LinkURL, on eventLoop: any EventLoop) -> EventLoopFuture<[SocketAddress]> {
        if let literal = try? SocketAddress(ipAddress: url.host, port: url.port) {
            return eventLoop.makeSucceededFuture([literal])
        }
        return NIOThreadPool.singleton.runIfActive(eventLoop: eventLoop) { try Self.lookUp(url) }
    }

    private static func lookUp(_ url: LinkURL) throws -> [SocketAddress] {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        // One result for each address, not one for each kind of socket.
        hints.ai_socktype = socketType
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(url.host, String(url.port), &hints, &list)
        guard code == 0 else { throw ResolutionError(description: String(cString: gai_strerror(code))) }
        defer { freeaddrinfo(list) }
        var addresses: [SocketAddress] = []
        var next = list
        while let entry = next?.pointee {
            if let address = address(entry, url.host) { addresses.append(address) }
            next = entry.ai_next
        }
        return addresses
    }

    private static func address(_ entry: addrinfo, _ host: String) -> SocketAddress? {
        guard let bytes = UnsafeRawPointer(entry.ai_addr) else { return nil }
        switch entry.ai_family {
        case AF_INET: return SocketAddress(bytes.loadUnaligned(as: sockaddr_in.self), host: host)
        case AF_INET6: return SocketAddress(bytes.loadUnaligned(as: sockaddr_in6.self), host: host)
        default: return nil
        }
    }

    private static var socketType: Int32 {
        #if canImport(Glibc)
            Int32(SOCK_STREAM.rawValue)
        #else
            SOCK_STREAM
        #endif
    }
}
