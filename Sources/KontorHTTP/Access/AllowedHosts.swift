// Under which names a listener may be asked. After DNS rebinding (Jackson et al., "Protecting Browsers from DNS
// Rebinding Attacks", 2007): a web page's own name can lead to this machine, and then the browser takes what the shop
// answers for the page's own. Only the Host header tells.

/// The values of `Host` that a listener answers. Addresses and names without a dot (`localhost`, `order-0`) are no
/// names that a stranger on the internet can have, so they are always among them.
public struct AllowedHosts: Sendable {
    private let names: Set<String>

    /// - Parameter names: further names, without ports; the case of letters is of no meaning.
    public init(_ names: some Sequence<String> = []) { self.names = Set(names.map { $0.lowercased() }) }

    /// Whether a request with this value of `Host` is answered.
    func contains(_ host: String) -> Bool {
        let name = HostName(host)
        return name.isAddress || !name.text.utf8.contains(UInt8(ascii: ".")) || names.contains(name.text.lowercased())
    }
}

/// A value of `Host` in its parts.
struct HostName {
    /// The name or address; that of an IPv6 address with its brackets.
    let text: Substring
    /// The digits behind the colon; nil if there are none.
    let port: Substring?

    init(_ host: some StringProtocol) {
        let host = Substring(host)
        let start = host.lastIndex(of: "]") ?? host.startIndex
        if let colon = host[start...].lastIndex(of: ":") {
            text = host[..<colon]
            port = host[host.index(after: colon)...]
        } else {
            text = host
            port = nil
        }
    }

    /// Whether it is an IPv4 address, or an IPv6 address in brackets.
    var isAddress: Bool {
        if text.utf8.first == UInt8(ascii: "[") { return true }
        let parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        return parts.count == 4 && parts.allSatisfy { part in UInt8(Substring(part)) != nil && part.first != UInt8(ascii: "+") }
    }
}
