// A frame: what one side of a link says at once. Which messages go where, and when, is decided elsewhere.
//
//     UInt32 length of the rest | version | kind | UInt16 number of items | items           (all little-endian)

/// What a frame has.
public enum FrameKind: UInt8, CaseIterable, Sendable {
    /// For a ledger: number, deadline, command.
    case commands = 1
    /// For an order service: number, command.
    case questions = 2
    /// Number of the command, reply.
    case ledgerReplies = 3
    /// Number of the question, reply.
    case orderReplies = 4
    /// Without items, from the client.
    case ping = 5
    /// Without items, to each ping.
    case pong = 6
    /// Without items, from the server: it will be gone soon, and wants no more messages. Replies still come.
    case leaving = 7

    /// Whether clients say this; the rest is for servers to say.
    public var isOfClient: Bool {
        switch self {
        case .commands, .questions, .ping: true
        case .ledgerReplies, .orderReplies, .pong, .leaving: false
        }
    }
}

/// A frame that has arrived, its items still encoded.
public struct Frame: Sendable {
    public static let lengthBytes = 4
    /// Bytes of the head behind the length.
    public static let headBytes = 4

    public let kind: FrameKind
    let count: Int
    private let items: ArraySlice<UInt8>

    /// - Parameter bytes: what is behind the length.
    public init(_ bytes: ArraySlice<UInt8>) throws(FormatError) {
        var reader = ByteReader(bytes)
        let version = try reader.byte()
        // The version comes first: what a newer one means by the rest is not known.
        guard version == Wire.formatVersion else { throw .newerFormat(version) }
        guard let kind = FrameKind(rawValue: try reader.byte()) else { throw .invalid("a kind") }
        self.kind = kind
        count = Int(try reader.fixed(UInt16.self))
        guard count <= Limits.frameItems else { throw .invalid("\(count) items") }
        items = bytes[reader.position...]
    }

    /// Reads the messages: all, or none.
    public func messages() throws(FormatError) -> [NumberedMessage] {
        var reader = ByteReader(items)
        var messages: [NumberedMessage] = []
        // As many as there can be, whatever the frame says: no item is smaller.
        messages.reserveCapacity(min(count, items.count / 4))
        for _ in 0..<count { messages.append(try NumberedMessage(kind, from: &reader)) }
        guard reader.isAtEnd else { throw .invalid("bytes behind its items") }
        return messages
    }
}
