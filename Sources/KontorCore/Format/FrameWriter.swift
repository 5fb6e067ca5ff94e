// Collects messages to frames, as bytes. When they leave is decided by whoever has the connection.

/// Frames under way to be written: whole ones, and the one that messages are added to. Messages of one kind that follow each other
/// share a frame, up to its bounds.
public struct FrameWriter: Sendable {
    private var writer = ByteWriter()
    /// Of the open frame; nil: none is open.
    private var kind: FrameKind?
    private var count = 0
    /// Where the open frame begins.
    private var start = 0

    public init() {}

    public var isEmpty: Bool { writer.bytes.isEmpty }
    public var byteCount: Int { writer.bytes.count }

    /// Adds one message.
    ///
    /// - Returns: false if it is larger than anything that is read: it was not added.
    public mutating func add(_ message: NumberedMessage) -> Bool {
        let kind = message.kind
        if self.kind != kind || count == Limits.frameItems || writer.bytes.count - start >= Limits.fullFrameBytes {
            begin(kind)
        }
        let size = writer.bytes.count
        message.encode(into: &writer)
        guard writer.bytes.count - size <= Limits.itemBytes else {
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

    /// Takes all bytes, ending the open frame.
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

    /// Writes what is known only now into the open frame's head.
    private mutating func end() {
        guard kind != nil else { return }
        kind = nil
        let length = UInt32(writer.bytes.count - start - Frame.lengthBytes)
        for byte in 0..<4 { writer.bytes[start + byte] = UInt8(truncatingIfNeeded: length >> (8 * byte)) }
        for byte in 0..<2 { writer.bytes[start + 6 + byte] = UInt8(truncatingIfNeeded: count >> (8 * byte)) }
    }
}
