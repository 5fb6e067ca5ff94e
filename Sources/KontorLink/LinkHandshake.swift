// The handshake that makes a link of a connection to an internal listener: an HTTP/1.1 upgrade, so links and operators
// share a port. Pure functions from bytes to verdicts.

import KontorService
import KontorCore

/// The client's request for a link, and the server's verdicts.
enum LinkHandshake {
    /// The first bytes of a connection that asks for a link. All other connections are HTTP's.
    static let firstBytes = Array("GET /internal/link ".utf8)
    /// The protocol's name; another format has another one. A later release that speaks both offers both.
    static let `protocol` = "kontor-link/\(Wire.formatVersion)"

    /// The server's verdict on a request, in order of precedence: a client without the secret learns nothing else.
    enum Verdict: UInt16, CaseIterable {
        case opened = 101
        case malformed = 400
        case wrongSecret = 401
        case unproven = 403
        case otherProtocol = 426
        case otherService = 421
        case notReady = 503
        case otherEpoch = 409

        var phrase: String {
            switch self {
            case .opened: return "Switching Protocols"
            case .malformed: return "Bad Request"
            case .wrongSecret: return "Unauthorized"
            case .unproven: return "Forbidden"
            case .otherProtocol: return "Upgrade Required"
            case .otherService: return "Misdirected Request"
            case .notReady: return "Service Unavailable"
            case .otherEpoch: return "Conflict"
            }
        }

        /// The reason of a refusal, in words for the logs of both sides; nil: it is no refusal.
        var reason: String? {
            switch self {
            case .opened: return nil
            case .malformed: return "the request is malformed"
            case .wrongSecret: return "the secret is another one"
            case .unproven:
                return "the client has no certificate, and the server demands one that its --tls-client-ca has signed"
            case .otherProtocol: return "the link's protocol is another one"
            case .otherService: return "the server is another service"
            case .notReady: return "the server is not ready"
            case .otherEpoch: return "the store belongs to another shop"
            }
        }
    }

    /// What a client says beyond what the first release said. A server of that release takes no notice of it.
    struct Offer: Hashable {
        /// The service that the client wants; nil: it does not say.
        var service: String?
        /// Whether it takes frames with a ``PeerStatus``.
        var takesStatus = false
    }

    /// - Parameter service: the name of the service that the client wants; empty: it does not say.
    static func request(host: String, secret: [UInt8], epoch: String, service: String = "") -> [UInt8] {
        var bytes = Array("GET /internal/link HTTP/1.1\r\nHost: \(host)\r\nConnection: Upgrade\r\n".utf8)
        bytes += Array("Upgrade: \(`protocol`)\r\nKontor-Epoch: \(epoch)\r\n".utf8)
        if !service.isEmpty { bytes += Array("Kontor-Service: \(service)\r\nKontor-Takes: status\r\n".utf8) }
        bytes += Array("Authorization: Bearer ".utf8)
        bytes += secret
        bytes += Array("\r\n\r\n".utf8)
        return bytes
    }

    /// - Parameter services: the names of the services that this process is; empty: it does not say.
    static func response(_ verdict: Verdict, services: [String] = []) -> String {
        var line = "HTTP/1.1 \(verdict.rawValue) \(verdict.phrase)\r\n"
        if verdict == .opened || verdict == .otherService, !services.isEmpty {
            line += "Kontor-Service: \(services.joined(separator: ", "))\r\n"
        }
        switch verdict {
        case .opened: return line + "Connection: Upgrade\r\nUpgrade: \(`protocol`)\r\n\r\n"
        case .otherProtocol:
            return line + "Connection: Upgrade, close\r\nUpgrade: \(`protocol`)\r\nContent-Length: 0\r\n\r\n"
        case .wrongSecret:
            return line + "WWW-Authenticate: Bearer realm=\"kontor\"\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        case .malformed, .unproven, .notReady, .otherEpoch, .otherService:
            return line + "Connection: close\r\nContent-Length: 0\r\n\r\n"
        }
    }

    /// - Parameters:
    ///   - head: the request up to its empty line.
    ///   - secrets: those of which a client must have one.
    ///   - epoch: this side's epoch; nil: it is not known yet.
    ///   - services: the services that this process is; empty: any client may connect.
    ///   - isProven: whether the client has the certificate that it needs.
    static func judge(
        _ head: ArraySlice<UInt8>, secrets: SharedSecrets, epoch: String?, services: [String] = [], isProven: Bool = true
    ) -> Verdict {
        let lines = lines(of: head)
        guard let first = lines.first, first.elementsEqual("GET /internal/link HTTP/1.1".utf8) else { return .malformed }
        guard let fields = fields(lines.dropFirst()) else { return .malformed }
        guard secrets.isBorne(by: fields["authorization"] ?? []) else { return .wrongSecret }
        guard isProven else { return .unproven }
        guard offers(fields["upgrade"] ?? []) else { return .otherProtocol }
        guard let epoch else { return .notReady }
        guard let offered = fields["kontor-epoch"], offered.elementsEqual(epoch.utf8) else { return .otherEpoch }
        if let wanted = fields["kontor-service"], !services.isEmpty,
            !services.contains(where: { wanted.elementsEqual($0.utf8) })
        {
            return .otherService
        }
        return .opened
    }

    /// What a client says beyond what the first release said.
    static func offer(in head: ArraySlice<UInt8>) -> Offer {
        let fields = fields(lines(of: head).dropFirst()) ?? [:]
        let takes = fields["kontor-takes"] ?? []
        return Offer(
            service: fields["kontor-service"].map { String(decoding: $0, as: UTF8.self) },
            takesStatus: takes.split(separator: UInt8(ascii: ",")).contains { trimmed($0).elementsEqual("status".utf8) })
    }

    /// The services that a server says it is; nil: it does not say, as the first release.
    static func services(in head: ArraySlice<UInt8>) -> String? {
        fields(lines(of: head).dropFirst())?["kontor-service"].map { String(decoding: $0, as: UTF8.self) }
    }

    /// The names in a list.
    static func names(in list: String) -> [String] {
        list.split(separator: ",").map { String(decoding: trimmed(Array($0.utf8)[...]), as: UTF8.self) }
    }

    /// The header's fields by their names in lower case; nil: a line is none, or a field that must not is there twice.
    /// Several lines of `Upgrade` are one list (RFC 9110, 5.3).
    private static func fields(_ lines: ArraySlice<ArraySlice<UInt8>>) -> [String: ArraySlice<UInt8>]? {
        var fields: [String: ArraySlice<UInt8>] = [:]
        for line in lines {
            guard let (name, value) = field(line) else { return nil }
            guard let before = fields.updateValue(value, forKey: name) else { continue }
            guard name == "upgrade" else { return nil }
            fields[name] = before + [UInt8(ascii: ",")] + value
        }
        return fields
    }

    /// Whether this release's protocol is among those that a client offers (RFC 9110, 7.8): a later release can offer
    /// its own besides.
    private static func offers(_ upgrade: ArraySlice<UInt8>) -> Bool {
        upgrade.split(separator: UInt8(ascii: ",")).contains { trimmed($0).elementsEqual(`protocol`.utf8) }
    }

    /// The verdict in an answer.
    ///
    /// - Returns: nil if it is no answer of this protocol.
    static func verdict(in head: ArraySlice<UInt8>) -> Verdict? {
        guard let line = lines(of: head).first, line.starts(with: "HTTP/1.1 ".utf8) else { return nil }
        return UInt16(String(decoding: line.dropFirst(9).prefix(3), as: UTF8.self)).flatMap(Verdict.init)
    }

    /// The index behind a head's empty line; nil: the head is not complete.
    static func endOfHead(in bytes: some Collection<UInt8>) -> Int? {
        var matched = 0
        for (index, byte) in bytes.enumerated() {
            switch (byte, matched) {
            case (13, 0), (10, 1), (13, 2), (10, 3): matched += 1
            case (13, _): matched = 1
            default: matched = 0
            }
            if matched == 4 { return index + 1 }
        }
        return nil
    }

    private static func lines(of head: ArraySlice<UInt8>) -> [ArraySlice<UInt8>] {
        head.split(separator: 10).map { $0.last == 13 ? $0.dropLast() : $0 }.filter { !$0.isEmpty }
    }

    private static func field(_ line: ArraySlice<UInt8>) -> (String, ArraySlice<UInt8>)? {
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { return nil }
        return (String(decoding: line[..<colon], as: UTF8.self).lowercased(), trimmed(line[(colon + 1)...]))
    }

    /// The value without optional white space around it (RFC 9110, 5.6.3).
    private static func trimmed(_ value: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        let isSpace: (UInt8) -> Bool = { $0 == 32 || $0 == 9 }
        let rest = value.drop(while: isSpace)
        return rest.lastIndex { !isSpace($0) }.map { rest[...$0] } ?? []
    }
}
