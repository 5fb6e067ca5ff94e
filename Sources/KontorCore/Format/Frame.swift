// A frame: the unit in which one side of a link sends its messages. The links decide where frames go, and when.
//
//     UInt32 length of the rest | version | kind | UInt16 number of items | items           (all little-endian)

/// The kind of items that a frame carries.
public enum FrameKind: UInt8, CaseIterable, Sendable {
    /// Requests to a ledger; each item is a number, a deadline and a command.
    case commands = 1
    /// Requests to an order service; each item is a number and a command.
    case questions = 2
    /// Replies to commands; each item is the number of its command, and the reply.
    case ledgerReplies = 3
    /// Replies to questions; each item is the number of its question, and the reply.
    case orderReplies = 4
    /// Sent by a client to see whether the server lives; it has no items.
    case ping = 5
    /// The server's answer to each ping; it has no items.
    case pong = 6
    /// Sent by a server that will end soon and takes no more requests; it has no items. Its replies still come.
    case leaving = 7
    /// A server's ``PeerStatus``, behind a pong or when it changes; one item. Only for clients that said that they take
    /// it.
    case status = 8

    /// Whether clients send this kind. Servers send the others.
    public var isOfClient: Bool {
        switch self {
        case .commands, .questions, .ping: true
        case .ledgerReplies, .orderReplies, .pong, .leaving, .status: false
        }
    }
}

/// A frame that has arrived, its items still encoded.
public struct Frame: Sendable {
    /// Bytes of the length in front of each frame.
    public static let lengthBytes = 4
    /// Bytes of the head that follow the length.
    public static let headBytes = 4

    public let kind: FrameKind
    let count: Int
    private let items: ArraySlice<UInt8>

    /// - Parameter bytes: the frame without its length.
    public init(_ bytes: ArraySlice<UInt8>) throws(FormatError) {
        var reader = ByteReader(bytes)
        let version = try reader.byte()
        // The version is checked first: a newer format may mean something else by the bytes that follow.
        guard version == Wire.formatVersion else { throw .newerFormat(version) }
        guard let kind = FrameKind(rawValue: try reader.byte()) else { throw .invalid("a kind") }
        self.kind = kind
        count = Int(try reader.fixed(UInt16.self))
        guard count <= Limits.frameMessages else { throw .invalid("\(count) items") }
        items = bytes[reader.position...]
    }

    /// Decodes the status of a frame of that kind.
    public func status() throws(FormatError) -> PeerStatus {
        var reader = ByteReader(items)
        guard kind == .status, count == 1 else { throw .invalid("a status") }
        let status = try PeerStatus(from: &reader)
        guard reader.isAtEnd else { throw .invalid("bytes behind its items") }
        return status
    }

    /// Decodes all messages; throws if one of them cannot be read.
    public func messages() throws(FormatError) -> [NumberedMessage] {
        var reader = ByteReader(items)
        var messages: [NumberedMessage] = []
        // Reserves no more than the items' bytes can contain, whatever count the frame claims: no item has less than 4
        // bytes.
        messages.reserveCapacity(min(count, items.count / 4))
        for _ in 0..<count { messages.append(try NumberedMessage(kind, from: &reader)) }
        guard reader.isAtEnd else { throw .invalid("bytes behind its items") }
        return messages
    }
}
