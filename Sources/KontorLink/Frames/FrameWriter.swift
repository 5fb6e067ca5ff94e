// Collects items to frames, as bytes. When they leave is the outbox's business.

import KontorCore

/// Frames under way to be written: whole ones, and the one that items are added to. Items of one kind that follow each other
/// share a frame, up to its bounds.
struct FrameWriter {
    private var writer = ByteWriter()
    private var kind: FrameKind?
    private var count = 0
    /// Where the open frame begins.
    private var start = 0

    var isEmpty: Bool { writer.bytes.isEmpty }
    var byteCount: Int { writer.bytes.count }

    /// Adds one item.
    /// - Returns: false if it is larger than anything that is read: it was not added.
    mutating func add(_ kind: FrameKind, _ encode: (inout ByteWriter) -> Void) -> Bool {
        if self.kind != kind || count == LinkLimits.frameItems || writer.bytes.count - start >= LinkLimits.fullFrameBytes {
            begin(kind)
        }
        let size = writer.bytes.count
        encode(&writer)
        guard writer.bytes.count - size <= LinkLimits.itemBytes else {
            writer.bytes.removeLast(writer.bytes.count - size)
            return false
        }
        count += 1
        return true
    }

    /// Adds a frame without items.
    mutating func add(_ kind: FrameKind) {
        begin(kind)
        end()
    }

    /// All bytes, ending the open frame.
    mutating func take() -> [UInt8] {
        end()
        defer { writer.bytes.removeAll(keepingCapacity: writer.bytes.count <= LinkLimits.fullFrameBytes) }
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
