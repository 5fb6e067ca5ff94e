// The decoder against its grammar: every kind of reply, cut everywhere, damaged anywhere, and larger than allowed.

import NIOCore
import Testing

@testable import RedisClient

/// One reply of each kind, and what it means.
private let corpus: [(String, RESPValue)] = [
    ("+OK\r\n", .simple("OK")),
    ("+\r\n", .simple("")),
    ("-MOVED 5 a:1\r\n", .error("MOVED 5 a:1")),
    (":-9223372036854775808\r\n", .integer(.min)),
    (":+9223372036854775807\r\n", .integer(.max)),
    ("$5\r\na\r\nbc\r\n", .bulk(ByteBuffer(string: "a\r\nbc"))),
    ("$0\r\n\r\n", .bulk(ByteBuffer())),
    ("$-1\r\n", .null),
    ("*-1\r\n", .null),
    ("_\r\n", .null),
    ("*0\r\n", .array([])),
    ("*3\r\n:1\r\n*2\r\n+a\r\n*0\r\n$1\r\nb\r\n", .array([.integer(1), .array([.simple("a"), .array([])]), bulk("b")])),
    ("#t\r\n", .boolean(true)),
    ("#f\r\n", .boolean(false)),
    (",-1.5e3\r\n", .double(-1500)),
    (",inf\r\n", .double(.infinity)),
    (",-inf\r\n", .double(-.infinity)),
    ("(-340282366920938463463374607431768211457\r\n", .bigNumber("-340282366920938463463374607431768211457")),
    ("!10\r\nERR a\r\nbcd\r\n", .error("ERR a\r\nbcd")),
    ("=7\r\ntxt:abc\r\n", .verbatim(format: "txt", ByteBuffer(string: "abc"))),
    ("%2\r\n+a\r\n:1\r\n+b\r\n%0\r\n", .map([RESPPair(.simple("a"), .integer(1)), RESPPair(.simple("b"), .map([]))])),
    ("~2\r\n:1\r\n:2\r\n", .array([.integer(1), .integer(2)])),
    (">2\r\n+invalidate\r\n_\r\n", .push([.simple("invalidate"), .null])),
    ("|1\r\n+ttl\r\n:3\r\n+value\r\n", .simple("value")),
    ("*2\r\n|0\r\n:1\r\n|1\r\n+a\r\n*1\r\n:7\r\n:2\r\n", .array([.integer(1), .integer(2)])),
]

private func bulk(_ text: String) -> RESPValue { .bulk(ByteBuffer(string: text)) }

/// All replies of the pieces, as one connection would read them.
private func decode(_ pieces: [ByteBuffer], maximumBytes: Int = 4_096) throws -> [RESPValue] {
    var stream = RESPStream(maximumBytes: maximumBytes)
    var replies: [RESPValue] = []
    for piece in pieces {
        stream.append(piece)
        while let reply = try stream.next() { replies.append(reply) }
    }
    return replies
}

private func decode(_ text: String, maximumBytes: Int = 4_096) throws -> [RESPValue] {
    try decode([ByteBuffer(string: text)], maximumBytes: maximumBytes)
}

@Suite struct DecoderTests {
    @Test(arguments: corpus.indices)
    func `each kind of reply is understood`(index: Int) throws {
        #expect(try decode(corpus[index].0) == [corpus[index].1])
    }

    @Test func `wherever the bytes are cut, the replies are the same`() throws {
        let bytes = Array(corpus.map(\.0).joined().utf8)
        let expected = corpus.map(\.1)
        for cut in 0...bytes.count {
            let pieces = [ByteBuffer(bytes: bytes[..<cut]), ByteBuffer(bytes: bytes[cut...])]
            #expect(try decode(pieces) == expected, "cut at \(cut)")
        }
        for size in 1...9 {
            let pieces = stride(from: 0, to: bytes.count, by: size).map { start in
                ByteBuffer(bytes: bytes[start..<min(start + size, bytes.count)])
            }
            #expect(try decode(pieces) == expected, "pieces of \(size)")
        }
    }

    @Test func `an incomplete reply is none, and takes no more than whole elements`() throws {
        for (text, _) in corpus {
            let bytes = Array(text.utf8)
            #expect(try decode([ByteBuffer(bytes: bytes.dropLast())]) == [], "\(text)")
        }
        var decoder = RESPDecoder()
        var buffer = ByteBuffer(string: "*2\r\n$1\r\na\r\n$5\r\nab")
        #expect(try decoder.next(from: &buffer) == nil)
        #expect(String(buffer: buffer) == "$5\r\nab")
    }

    @Test(arguments: [
        "x\r\n", ":\r\n", ":-\r\n", ":1x\r\n", ": 1\r\n", ":9223372036854775808\r\n", ":-9223372036854775809\r\n", "$-2\r\n",
        "$x\r\n", "$1\r\nab\r\n", "$1\r\na\n\r", "*-2\r\n", "%-1\r\n", "~-2\r\n", "!-1\r\n", "=-1\r\n", "=2\r\nab\r\n",
        "=4\r\ntxt;\r\n", "#x\r\n", "#\r\n", ",x\r\n", ",\r\n", "(\r\n", "(12a\r\n", "(-\r\n", "_x\r\n", "+a\rb\r\n", "\r\n",
        "$99999999999999999999\r\n", "*9223372036854775807\r\n", "$9223372036854775807\r\n",
    ])
    func `what is no reply is refused`(text: String) {
        #expect(throws: RESPDecodingError.self) { try decode(text) }
    }

    @Test func `a reply is bounded in bytes, also over many elements`() throws {
        #expect(try decode("$4089\r\n\(String(repeating: "a", count: 4_087))\r\n".replacing("4089", with: "4087")).count == 1)
        #expect(throws: RESPDecodingError.self) { try decode("$4090\r\n") }
        #expect(throws: RESPDecodingError.self) {
            try decode("*300\r\n" + String(repeating: "+abcdefghijklmno\r\n", count: 300))
        }
        // The bound is for each reply, not for the connection.
        #expect(try decode(String(repeating: "+abcdefghijklmno\r\n", count: 3_000)).count == 3_000)
    }

    @Test func `a reply is bounded in elements and depth, and a line in length`() throws {
        var decoder = RESPDecoder(maximumElements: 10)
        var few = ByteBuffer(string: "*2\r\n*4\r\n:1\r\n:1\r\n:1\r\n:1\r\n*4\r\n:1\r\n:1\r\n:1\r\n:1\r\n")
        #expect(try decoder.next(from: &few) != nil)
        var many = ByteBuffer(string: "*2\r\n*4\r\n:1\r\n:1\r\n:1\r\n:1\r\n*5\r\n")
        #expect(throws: RESPDecodingError.self) { try decoder.next(from: &many) }
        var pairs = ByteBuffer(string: "%6\r\n")
        #expect(throws: RESPDecodingError.self) { try RESPDecoder(maximumElements: 10).decodingOnce(&pairs) }
        let depth = RedisClientLimits.replyDepth
        #expect(try decode(String(repeating: "*1\r\n", count: depth) + ":1\r\n").count == 1)
        #expect(throws: RESPDecodingError.self) { try decode(String(repeating: "*1\r\n", count: depth + 1)) }
        let line = String(repeating: "a", count: RedisClientLimits.replyLineBytes)
        #expect(try decode("+\(line)\r\n", maximumBytes: 1_000_000).count == 1)
        #expect(throws: RESPDecodingError.self) { try decode("+\(line)a", maximumBytes: 1_000_000) }
        #expect(throws: RESPDecodingError.self) {
            try decode(String(repeating: "|0\r\n", count: 300_000), maximumBytes: 10_000_000)
        }
    }

    @Test func `random and damaged bytes end in replies or a refusal, never in a trap`() {
        var random = SplitMix(seed: 20_261_125)
        let alphabet = Array("+-:$*_#,(!=%~>|0123456789\r\n\r\n\r\nabtf".utf8)
        let valid = Array(corpus.map(\.0).joined().utf8)
        var differing: [[UInt8]] = []
        for round in 0..<5_000 {
            var bytes: [UInt8]
            switch round % 3 {
            case 0: bytes = (0..<random.next(60)).map { _ in UInt8(random.next(256)) }
            case 1: bytes = (0..<random.next(80)).map { _ in alphabet[random.next(alphabet.count)] }
            default:
                bytes = valid
                for _ in 0...random.next(4) { bytes[random.next(bytes.count)] = alphabet[random.next(alphabet.count)] }
            }
            let cut = random.next(bytes.count + 1)
            let whole = Result { try decode([ByteBuffer(bytes: bytes)]) }
            let cutInTwo = Result { try decode([ByteBuffer(bytes: bytes[..<cut]), ByteBuffer(bytes: bytes[cut...])]) }
            if (try? whole.get()) != (try? cutInTwo.get()) { differing.append(bytes) }
        }
        #expect(differing == [])
    }

    @Test func `a bulk string is a slice of what was read`() throws {
        var buffer = ByteBuffer(string: "$3\r\nabc\r\n")
        let storage = buffer.storageCapacity
        var decoder = RESPDecoder()
        let reply = try #require(try decoder.next(from: &buffer)?.bytes)
        #expect(reply.readableBytes == 3)
        let isSame = buffer.withVeryUnsafeBytes { whole in
            reply.withVeryUnsafeBytes { $0.baseAddress.map { $0 >= whole.baseAddress ?? $0 } ?? false }
        }
        #expect(isSame && storage == buffer.storageCapacity)
    }
}

extension RESPDecoder {
    fileprivate func decodingOnce(_ buffer: inout ByteBuffer) throws -> RESPValue? {
        var copy = self
        return try copy.next(from: &buffer)
    }
}

/// A generator whose numbers are the same on every run.
struct SplitMix {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    /// A number from 0 up to and not including the bound.
    mutating func next(_ bound: Int) -> Int {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return Int((mixed ^ mixed >> 31) % UInt64(bound))
    }
}
