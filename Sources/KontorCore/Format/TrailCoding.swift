// The audit trail as bytes. The bytes of an entry's key sort by time, the newest first, so that a store reads a page
// of the trail without a look at anything else.

extension TrailID {
    /// The bytes with which the key of an entry begins, behind its tag.
    public var orderedBytes: [UInt8] {
        var writer = ByteWriter()
        writer.newestFirst(time)
        writer.fixed(number.byteSwapped)
        return writer.bytes
    }

    init(from reader: inout ByteReader) throws(FormatError) {
        self.init(time: try reader.newestFirst(), number: try reader.fixed(UInt64.self).byteSwapped)
    }

    /// As clients get it: 32 hexadecimal digits.
    public var text: String { [UInt64(bitPattern: time), number].map(Self.digits).joined() }

    /// Reads what ``text`` gave; nil: it is not that.
    public init?(_ text: String) {
        let utf8 = text.utf8
        guard utf8.count == 32, utf8.allSatisfy({ $0.isHexDigit }),
            let time = UInt64(text.prefix(16), radix: 16), let number = UInt64(text.suffix(16), radix: 16),
            (0...Limits.latestTime).contains(Int64(bitPattern: time))
        else { return nil }
        self.init(time: Int64(bitPattern: time), number: number)
    }

    private static func digits(_ number: UInt64) -> String {
        let text = String(number, radix: 16)
        return String(repeating: "0", count: 16 - text.utf8.count) + text
    }
}

extension UInt8 {
    fileprivate var isHexDigit: Bool { (0x30...0x39).contains(self) || (0x61...0x66).contains(self | 0x20) }
}

extension TrailNote {
    func encode(into writer: inout ByteWriter) {
        for text in [principal, address, operation, reason] { writer.text(text) }
        writer.varint(UInt64(arguments.count))
        for argument in arguments {
            writer.text(argument.name)
            writer.text(argument.value)
        }
    }

    convenience init(from reader: inout ByteReader) throws(FormatError) {
        let principal = try reader.text()
        let address = try reader.text()
        let operation = try reader.text()
        let reason = try reader.text()
        var arguments: [Argument] = []
        for _ in 0..<(try reader.count(atMost: Limits.trailArguments)) {
            arguments.append(Argument(name: try reader.text(), value: try reader.text()))
        }
        self.init(principal: principal, address: address, operation: operation, arguments: arguments, reason: reason)
    }
}
