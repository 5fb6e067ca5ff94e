// The addresses of a service's replicas: its names, resolved again and again, since replicas come and go.

import NIOCore

/// The addresses of one service. Used on its event loop only.
final class ReplicaAddresses {
    private let urls: [LinkURL]
    private let resolver: any LinkResolver
    private let eventLoop: any EventLoop
    private var addresses: [LinkURL: [SocketAddress]] = [:]
    private var didResolve: ((_ url: String) -> Void)?
    private var didFail: ((_ url: String, _ reason: String) -> Void)?
    private var resolving: Set<LinkURL> = []
    /// When the names are resolved next, monotonic milliseconds.
    private var next: Int64 = 0
    /// The addresses by their names in logs and hashes: `address:port`.
    private(set) var found: [String: SocketAddress] = [:]

    init(_ urls: [LinkURL], _ resolver: any LinkResolver, _ eventLoop: any EventLoop) {
        self.urls = urls
        self.resolver = resolver
        self.eventLoop = eventLoop
    }

    /// - Parameters:
    ///   - resolved: called whenever a name was resolved.
    ///   - failed: called when a name could not be resolved; its earlier addresses stay.
    func start(_ resolved: @escaping (_ url: String) -> Void, failed: @escaping (_ url: String, _ reason: String) -> Void) {
        didResolve = resolved
        didFail = failed
        resolve(now: LinkClock.nowMilliseconds)
    }

    func stop() { (didResolve, didFail) = (nil, nil) }

    func tick(now: Int64) { if now >= next { resolve(now: now) } }

    /// Resolves all names at the next tick: a replica was lost.
    func resolveSoon() { next = 0 }

    /// The URL that an address was found for.
    func url(of name: String) -> LinkURL? {
        urls.first { addresses[$0]?.contains { Self.name(of: $0) == name } ?? false }
    }

    private func resolve(now: Int64) {
        next = now + LinkLimits.resolveMilliseconds
        for url in urls where resolving.insert(url).inserted {
            resolver.resolve(url, on: eventLoop).assumeIsolated().whenComplete { [self] result in
                resolving.remove(url)
                switch result {
                case .success(let list): take(list, for: url)
                case .failure(let error): didFail?(url.description, "\(error)")
                }
            }
        }
    }

    private func take(_ list: [SocketAddress], for url: LinkURL) {
        addresses[url] = list
        found = [:]
        for address in addresses.values.joined() { if let name = Self.name(of: address) { found[name] = address } }
        didResolve?(url.description)
    }

    private static func name(of address: SocketAddress) -> String? {
        guard let ip = address.ipAddress, let port = address.port else { return nil }
        return ip.contains(":") ? "[\(ip)]:\(port)" : "\(ip):\(port)"
    }
}
