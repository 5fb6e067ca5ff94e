// Addresses of machines, and ranges of them.

import NIOCore

/// An IPv4 or IPv6 address. An IPv4 address is the IPv6 address that is mapped to it (RFC 4291, 2.5.5.2).
struct NetworkAddress: Hashable, Sendable {
    let high: UInt64
    let low: UInt64

    init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// - Returns: nil for a socket that is no IP socket.
    init?(_ address: SocketAddress?) {
        switch address {
        case .v4(let address): self.init(ofIPv4: UInt32(bigEndian: address.address.sin_addr.s_addr))
        case .v6(let address):
            var bytes = address.address.sin6_addr
            self = withUnsafeBytes(of: &bytes) { bytes in
                let halves = bytes.assumingMemoryBound(to: UInt8.self).enumerated().reduce(into: (UInt64(0), UInt64(0))) {
                    if $1.offset < 8 { $0.0 = $0.0 << 8 | UInt64($1.element) } else { $0.1 = $0.1 << 8 | UInt64($1.element) }
                }
                return NetworkAddress(high: halves.0, low: halves.1)
            }
        case .unixDomainSocket, nil: return nil
        }
    }

    /// - Returns: nil unless the text is an address, without brackets.
    init?(_ text: String) { self.init(try? SocketAddress(ipAddress: text, port: 0)) }

    private init(ofIPv4 bits: UInt32) { self.init(high: 0, low: 0xFFFF_0000_0000 | UInt64(bits)) }

    /// The address in digits. An IPv6 address is not shortened.
    var text: String {
        if isIPv4 { return [24, 16, 8, 0].map { String(low >> $0 & 0xFF) }.joined(separator: ".") }
        return [high, low].flatMap { half in [48, 32, 16, 0].map { String(half >> $0 & 0xFFFF, radix: 16) } }
            .joined(separator: ":")
    }

    fileprivate var isIPv4: Bool { high == 0 && low >> 32 == 0xFFFF }

    /// What stands for one caller: an IPv4 address, or the network of 64 bits that a household or a machine gets.
    var caller: NetworkAddress { isIPv4 ? self : NetworkAddress(high: high, low: 0) }

    /// The address with all bits behind the first ones cleared.
    fileprivate func prefix(_ bits: Int) -> NetworkAddress {
        func mask(_ bits: Int) -> UInt64 { bits <= 0 ? 0 : bits >= 64 ? .max : ~(.max >> UInt64(bits)) }
        return NetworkAddress(high: high & mask(bits), low: low & mask(bits - 64))
    }
}

/// The proxies in front of a shop that are believed when they say for which client they ask, under which name of the
/// shop, and that they ask again.
public struct TrustedProxies: Sendable {
    private struct Range { let start: NetworkAddress, bits: Int }

    private let ranges: [Range]

    /// Makes the ranges of addresses such as `10.0.0.0/8`, `fd00::/8` and `192.168.1.7`.
    ///
    /// - Returns: nil if one of the texts is none.
    public init?(_ texts: [String]) {
        var ranges: [Range] = []
        for text in texts {
            let parts = text.split(separator: "/", omittingEmptySubsequences: false)
            guard let start = parts.first.flatMap({ NetworkAddress(String($0)) }), parts.count <= 2 else { return nil }
            let longest = start.isIPv4 ? 32 : 128
            guard let bits = parts.count == 1 ? longest : Int(parts[1]), (0...longest).contains(bits) else { return nil }
            ranges.append(Range(start: start, bits: bits + 128 - longest))
        }
        self.ranges = ranges
    }

    func contains(_ address: NetworkAddress) -> Bool {
        ranges.contains { address.prefix($0.bits) == $0.start.prefix($0.bits) }
    }

    /// The client for whom a proxy asks: the last address in `X-Forwarded-For` that is none of the proxies. What stands
    /// before it the client may have written himself.
    ///
    /// - Parameter peer: the proxy that sent the request.
    func client(_ forwardedFor: String, peer: NetworkAddress) -> NetworkAddress {
        var last = peer
        for text in forwardedFor.split(separator: ",").reversed() {
            guard let address = NetworkAddress(text.filter { $0 != " " && $0 != "\t" }) else { return last }
            last = address
            if !contains(address) { return address }
        }
        return last
    }
}
