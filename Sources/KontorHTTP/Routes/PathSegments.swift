// Splits a request target into its decoded segments. It knows no routes.

/// The segments of a path, percent-decoded, without the query.
struct PathSegments {
    /// Segments of the longest route, `/orders/batch_init/{count}/{items}/{users}/{price}`.
    static let longest = 6

    /// How many segments there are.
    private(set) var length = 0
    /// The path of the route that the segments lead to, which names their arguments; empty until it is found.
    var parts: [PathPart] = []
    private var segments = InlineArray<6, String>(repeating: "")

    subscript(index: Int) -> String { segments[index] }

    /// Splits a request target: a path, or a whole URL.
    ///
    /// - Returns: nil if no route can have this path: it has an empty segment (also behind a trailing slash), or too
    ///   many.
    /// - Throws: a problem if a percent sign is not followed by two hexadecimal digits.
    init?(of uri: String) throws(Problem) {
        var target = uri
        let outcome: Result<Bool, Problem> = target.withUTF8 { bytes in
            do throws(Problem) { return .success(try split(bytes)) } catch { return .failure(error) }
        }
        if try !outcome.get() { return nil }
    }

    /// - Returns: false if no route can have this path.
    private mutating func split(_ bytes: UnsafeBufferPointer<UInt8>) throws(Problem) -> Bool {
        guard var start = Self.pathStart(bytes) else { return false }
        var position = start
        var isEncoded = false
        while true {
            let byte = position < bytes.count ? bytes[position] : UInt8(ascii: "?")
            switch byte {
            case UInt8(ascii: "/"), UInt8(ascii: "?"):
                guard position > start, length < Self.longest else { return false }
                let segment = UnsafeBufferPointer(rebasing: bytes[start..<position])
                segments[length] = isEncoded ? try Self.decode(segment) : String(decoding: segment, as: UTF8.self)
                length += 1
                if byte == UInt8(ascii: "?") { return true }
                start = position + 1
                isEncoded = false
            case UInt8(ascii: "%"): isEncoded = true
            default: break
            }
            position += 1
        }
    }

    /// The position behind the path's first slash; nil if there is none. A target may also be a whole URL (RFC 9112,
    /// 3.2.2).
    private static func pathStart(_ bytes: UnsafeBufferPointer<UInt8>) -> Int? {
        if bytes.first == UInt8(ascii: "/") { return 1 }
        guard let colon = bytes.firstIndex(of: UInt8(ascii: ":")), colon + 3 < bytes.count,
            bytes[colon + 1] == UInt8(ascii: "/"), bytes[colon + 2] == UInt8(ascii: "/"),
            let slash = bytes[(colon + 3)...].firstIndex(of: UInt8(ascii: "/"))
        else { return nil }
        return slash + 1
    }

    private static func decode(_ segment: UnsafeBufferPointer<UInt8>) throws(Problem) -> String {
        var decoded: [UInt8] = []
        var position = 0
        while position < segment.count {
            if segment[position] != UInt8(ascii: "%") {
                decoded.append(segment[position])
                position += 1
                continue
            }
            guard position + 2 < segment.count, let high = hexDigit(segment[position + 1]),
                let low = hexDigit(segment[position + 2])
            else {
                throw .malformed(
                    "The path has a percent sign without two hexadecimal digits behind it.", echoing: nil)
            }
            decoded.append(high << 4 | low)
            position += 3
        }
        return String(decoding: decoded, as: UTF8.self)
    }

    static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): return byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): return byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): return byte - UInt8(ascii: "A") + 10
        default: return nil
        }
    }
}
