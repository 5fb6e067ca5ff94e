// Reads the headers that requests are served by, in one pass. Framing and Connection are the decoder's.

import KontorCore
import KontorService
import NIOHTTP1

/// The headers of a request that its service depends on.
struct RequestHeaders {
    /// nil if the request has none, and for a read, to which a key means nothing.
    private(set) var key: IdempotencyKey?
    /// What a gateway says of a write; nil: no gateway sent it, or it is a read.
    private(set) var stamp: RequestStamp?
    /// How long the shop may take.
    private(set) var timeoutMilliseconds = Limits.deadlineMilliseconds
    /// The value of the header; nil if there is none.
    private(set) var authorization: String?
    /// The value of the header, which HTTP/1.0 clients may leave out.
    private(set) var host: String?
    /// Of which page a browser says that it sends this; nil: no browser, or one that does not say.
    private(set) var origin: String?
    /// How that page's site is related to this one, as a browser says.
    private(set) var fetchSite: String?
    /// For whom a proxy says that it asks; several such headers are one list.
    private(set) var forwardedFor: String?
    /// The value of `If-Match`; several such headers are one list.
    private(set) var ifMatch: String?
    /// Whether the body is said to be JSON.
    private(set) var isJSON = false
    /// The body's declared length; 0 if none is declared.
    private(set) var contentLength = 0
    private(set) var hasBody = false
    /// The client sends its body only when asked to.
    private(set) var expectsContinue = false
    /// The decoder stops behind a request that wants another protocol, so its connection has no next request.
    private(set) var wantsUpgrade = false
    /// The client says that this is the connection's last request, whatever else it says of the connection.
    private(set) var wantsClose = false
    /// What is wrong with a header of the shop's own; nil if nothing is. The connection can go on behind the answer.
    private(set) var problem: Problem?
    private var keyCount = 0
    private var timeoutCount = 0
    // The gateway's stamp, as it came.
    private var stampRequest: String?
    private var stampSent: String?
    private var stampAttempt: String?

    /// - Parameter knownHost: a value of `Host` that is known to be valid.
    /// - Throws: a problem after which the connection must be closed.
    init(of head: HTTPRequestHead, knownHost: String? = nil) throws(Problem) {
        var totalBytes = 0
        var hostCount = 0
        var isHostValid = true
        var hasTransferEncoding = false
        for (name, value) in head.headers {
            let nameBytes = name.utf8.count
            totalBytes += nameBytes + value.utf8.count
            switch nameBytes {
            case 4 where Self.equal(name, "host"):
                hostCount += 1
                host = FieldValue.trimmed(value)
                // What Swift takes for the same text may have other bytes, but then more of them.
                let isKnown = host == knownHost && host?.utf8.count == knownHost?.utf8.count
                isHostValid = isHostValid && (isKnown || FieldValue.isHost(value))
            case 6 where Self.equal(name, "origin"): origin = FieldValue.trimmed(value)
            case 6 where Self.equal(name, "expect"):
                expectsContinue = Self.equal(FieldValue.trimmed(value), "100-continue")
            case 7 where Self.equal(name, "upgrade"): wantsUpgrade = true
            case 8 where Self.equal(name, "if-match"):
                ifMatch = ifMatch.map { $0 + "," + value } ?? FieldValue.trimmed(value)
            case 12 where Self.equal(name, "content-type"): isJSON = Self.isJSON(value)
            case 10 where Self.equal(name, "connection"): wantsClose = wantsClose || Self.hasClose(value)
            case 13 where Self.equal(name, "authorization"):
                if authorization != nil { problem = .malformed("There is more than one Authorization", echoing: nil) }
                authorization = FieldValue.trimmed(value)
            case 11 where Self.equal(name, "kontor-sent"): stampSent = FieldValue.trimmed(value)
            case 14 where Self.equal(name, "kontor-request"): stampRequest = FieldValue.trimmed(value)
            case 14 where Self.equal(name, "kontor-attempt"): stampAttempt = FieldValue.trimmed(value)
            case 14 where Self.equal(name, "sec-fetch-site"): fetchSite = FieldValue.trimmed(value)
            case 14 where Self.equal(name, "content-length"):
                contentLength = Int(FieldValue.trimmed(value)) ?? Int.max
                hasBody = contentLength > 0
            case 15 where Self.equal(name, "x-forwarded-for"):
                forwardedFor = forwardedFor.map { $0 + "," + value } ?? value
            case 15 where Self.equal(name, "idempotency-key"): readKey(FieldValue.trimmed(value), head.method)
            case 17 where Self.equal(name, "transfer-encoding"): hasTransferEncoding = true
            case 18 where Self.equal(name, "request-timeout-ms"): readTimeout(FieldValue.trimmed(value))
            default: break
            }
        }
        if stampRequest != nil || stampSent != nil || stampAttempt != nil { readStamp(head.method) }
        if totalBytes > HTTPLimits.headerBytes { throw .headersTooLarge }
        let needsHost = head.version.minor >= 1
        if hostCount > 1 || (needsHost && hostCount == 0) {
            throw Problem(.malformedHTTP, "An HTTP/1.1 request has exactly one Host header; this one has \(hostCount).")
        }
        if !isHostValid { throw .invalidHost }
        if hasTransferEncoding {
            // Who speaks HTTP/1.0 may not know chunks, so where the request ends is not certain (RFC 9112, 6.1).
            if !needsHost { throw .chunksOfOldClient }
            hasBody = true
        }
    }

    /// What a write is known by; nil: nothing. The key of a caller who is known is his alone.
    ///
    /// - Parameters:
    ///   - note: what the audit trail says of it; nil: nothing.
    ///   - mayKeepKey: whether another key of its caller's may be kept.
    func name(of call: ShopCall, note: TrailNote?, mayKeepKey: Bool) -> WriteName? {
        if key == nil && stamp == nil && note == nil { return nil }
        guard let key, let principal = call.principal else {
            return WriteName(key: key, stamp: stamp, note: note, mayKeepKey: mayKeepKey)
        }
        return WriteName(key: principal.scoped(key), stamp: stamp, note: note, mayKeepKey: mayKeepKey)
    }

    /// Reads a gateway's stamp: all three headers, or none.
    private mutating func readStamp(_ method: HTTPMethod) {
        guard method == .POST || method == .DELETE || method == .PUT else { return }
        let attempts = ["1": false, "2": true]
        if let request = stampRequest, let sent = stampSent.flatMap(Self.milliseconds),
            let isRepeated = stampAttempt.flatMap({ attempts[$0] }),
            let read = RequestStamp(request: request, sent: sent, isRepeated: isRepeated)
        {
            stamp = read
        } else {
            problem = .malformed(
                "Kontor-Request, Kontor-Sent and Kontor-Attempt are a gateway's stamp, and do not make one", echoing: nil)
        }
    }

    /// Reads seconds with three digits behind the point, as nginx writes them.
    private static func milliseconds(_ seconds: String) -> Int64? {
        let parts = seconds.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[1].utf8.count == 3, parts[0].utf8.count <= 12 else { return nil }
        return UInt64(parts[0]).flatMap { whole in UInt64(parts[1]).map { Int64(whole * 1_000 + $0) } }
    }

    private mutating func readTimeout(_ value: String) {
        timeoutCount += 1
        if timeoutCount > 1 {
            problem = .malformed("There is more than one Request-Timeout-Ms", echoing: nil)
            return
        }
        let isPlain = value.utf8.allSatisfy { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
        if isPlain, value.utf8.count <= 18, let milliseconds = Int64(value), milliseconds > 0 {
            timeoutMilliseconds = min(milliseconds, Limits.longestDeadlineMilliseconds)
        } else {
            problem = .malformed("Request-Timeout-Ms is not a positive number of milliseconds", echoing: value)
        }
    }

    /// Reads a key: a string in quotes (RFC 8941), or the same characters without them. Reads (GET and HEAD) have none.
    private mutating func readKey(_ value: String, _ method: HTTPMethod) {
        guard method == .POST || method == .DELETE || method == .PUT else { return }
        keyCount += 1
        key = IdempotencyKey(headerValue: value)
        if keyCount > 1 {
            problem = .malformed("There is more than one Idempotency-Key", echoing: nil)
        } else if key?.isForClients != true {
            problem = .malformed(
                "The Idempotency-Key is not 1 to \(Limits.idempotencyKeyBytes) visible ASCII characters, quoted or bare, "
                    + "or it begins with a name that Kontor keeps for itself",
                echoing: value)
        }
    }

    /// Whether `close` is among the options of a `Connection` header. The decoder takes a tab for
    /// a part of the option beside it.
    private static func hasClose(_ value: String) -> Bool {
        if value.utf8.count < 5 || equal(value, "keep-alive") { return false }
        return value.utf8.split(separator: UInt8(ascii: ",")).contains { option in
            equal(FieldValue.trimmed(String(Substring(option))), "close")
        }
    }

    /// Whether a `Content-Type` is JSON's, whatever its parameters.
    private static func isJSON(_ value: String) -> Bool {
        let type = value.utf8.prefix { $0 != UInt8(ascii: ";") }
        return equal(FieldValue.trimmed(String(Substring(type))), "application/json")
    }

    /// Compares with a lowercase text, ignoring the case of ASCII letters.
    private static func equal(_ text: String, _ lowercase: StaticString) -> Bool {
        var text = text
        return text.withUTF8 { bytes in
            guard bytes.count == lowercase.utf8CodeUnitCount else { return false }
            // Of the bytes that a name may have, only capitals are changed by this to what stands in one of these
            // names.
            for index in bytes.indices where bytes[index] | 0x20 != lowercase.utf8Start[index] { return false }
            return true
        }
    }
}

extension IdempotencyKey {
    /// A key from a header: `"key"` with the escapes of RFC 8941 (`\"`, `\\`), or a bare `key` without quotes in it.
    init?(headerValue value: String) {
        let quote = UInt8(ascii: "\"")
        guard value.utf8.first == quote else {
            if value.utf8.contains(quote) { return nil }
            self.init(value)
            return
        }
        var text: [UInt8] = []
        var rest = value.utf8.dropFirst().makeIterator()
        while let byte = rest.next() {
            switch byte {
            case quote:
                guard rest.next() == nil else { return nil }
                self.init(String(decoding: text, as: UTF8.self))
                return
            case UInt8(ascii: "\\"):
                guard let escaped = rest.next(), escaped == quote || escaped == byte else { return nil }
                text.append(escaped)
            default: text.append(byte)
            }
        }
        return nil
    }
}
