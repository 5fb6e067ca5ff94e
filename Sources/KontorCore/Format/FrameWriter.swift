// Collects messages into frames, as bytes. The owner of the connection decides when they leave.

/// Finished frames, and the open one that messages are added to. Successive messages of one kind share a frame, up to
/// the bounds of `Limits`.
public struct FrameWriter: Sendable {
    private var writer = ByteWriter()
    /// The open frame's kind; nil: no frame is open.
    private var kind: FrameKind?
    private var count = 0
    /// Where the open frame begins.
    private var start = 0

    public init() {}

    /// Whether nothing has been added since ``take()``.
    public var isEmpty: Bool { writer.bytes.isEmpty }
    /// Bytes that were added since ``take()``.
    public var byteCount: Int { writer.bytes.count }

    /// Adds a message.
    ///
    /// - Returns: false if the message is larger than a reader accepts; then it is not added.
    public mutating func add(_ message: NumberedMessage) -> Bool {
        let kind = message.kind
        if self.kind != kind || count == Limits.frameMessages || writer.bytes.count - start >= Limits.fullFrameBytes {
            begin(kind)
        }
        let size = writer.bytes.count
        message.encode(into: &writer)
        guard writer.bytes.count - size <= Limits.messageBytes else {
            writer.bytes.removeLast(writer.bytes.count - size)
            return false
        }
        count += 1
        return true
    }

    /// Adds a frame without messages.
    public mutating func add(_ kind: FrameKind) {
        begin(kind)
        end()
    }

    /// Adds a frame with a status.
    public mutating func add(_ status: PeerStatus) {
        begin(.status)
        status.encode(into: &writer)
        count = 1
        end()
    }

    /// Ends the open frame, and takes all bytes.
    public mutating func take() -> [UInt8] {
        end()
        defer { writer.bytes.removeAll(keepingCapacity: writer.bytes.count <= Limits.fullFrameBytes) }
        return writer.bytes
    }

    private mutating func begin(_ kind: FrameKind) {
        end()
        start = writer.bytes.count
        self.kind = kind
        count = 0
        writer.fixed(UInt32(0))
        writer.byte(Wire.formatVersion)
        writer.byte(kind.rawValue)
        writer.fixed(UInt16(0))
    }

    /// Completes the open frame's head: its length and number of items are known only now.
    private mutating func end() {
        guard kind != nil else { return }
        kind = nil
        let length = UInt32(writer.bytes.count - start - Frame.lengthBytes)
        for byte in 0..<4 { writer.bytes[start + byte] = UInt8(truncatingIfNeeded: length >> (8 * byte)) }
        for byte in 0..<2 { writer.bytes[start + 6 + byte] = UInt8(truncatingIfNeeded: count >> (8 * byte)) }
    }
}
