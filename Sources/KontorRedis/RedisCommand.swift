// One command, encoded as it is built. Arguments are bytes of any kind; nothing is quoted or escaped.

import NIOCore

/// A command as it goes over the wire: an array of bulk strings.
///
///     var command = RedisCommand("SET", argumentCount: 2)
///     command.append(key)
///     command.append(value)
///
/// It can be sent any number of times.
public struct RedisCommand: Sendable {
    private(set) var encoded: ByteBuffer
    /// Arguments that were announced and not yet appended.
    private(set) var missing: Int

    /// Begins a command.
    ///
    /// - Parameters:
    ///   - name: Its first word.
    ///   - argumentCount: How many arguments will be appended; to send it with fewer is a bug.
    ///   - capacity: About how many bytes they take: a good guess saves copies.
    public init(_ name: String, argumentCount: Int, capacity: Int = 96) {
        precondition(argumentCount >= 0, "a command has a negative number of arguments")
        encoded = ByteBuffer()
        encoded.reserveCapacity(capacity + name.utf8.count + 32)
        missing = argumentCount + 1
        writeHeader(UInt8(ascii: "*"), argumentCount + 1)
        append(name)
    }

    /// A command of words that are known here: `RedisCommand("CLUSTER", "SLOTS")`.
    public init(_ name: String, _ arguments: String...) {
        self.init(name, arguments: arguments)
    }

    /// A command whose arguments are all text.
    public init(_ name: String, arguments: [String]) {
        self.init(name, argumentCount: arguments.count, capacity: arguments.reduce(0) { $0 + $1.utf8.count + 10 })
        for argument in arguments { append(argument) }
    }

    /// Appends an argument.
    public mutating func append(_ text: String) {
        begin(text.utf8.count)
        encoded.writeString(text)
        end()
    }

    /// Appends an argument.
    public mutating func append(_ bytes: some Collection<UInt8>) {
        begin(bytes.count)
        encoded.writeBytes(bytes)
        end()
    }

    /// Appends an argument: what can be read from the buffer.
    public mutating func append(_ bytes: ByteBuffer) {
        begin(bytes.readableBytes)
        encoded.writeImmutableBuffer(bytes)
        end()
    }

    /// Appends a number in digits.
    public mutating func append(_ number: some BinaryInteger) { append(String(number)) }

    private mutating func begin(_ count: Int) {
        precondition(missing > 0, "a command got more arguments than were announced")
        missing -= 1
        writeHeader(UInt8(ascii: "$"), count)
    }

    private mutating func end() { encoded.writeInteger(0x0D0A as UInt16) }

    private mutating func writeHeader(_ kind: UInt8, _ count: Int) {
        encoded.writeInteger(kind)
        if count < 10 {
            encoded.writeInteger(UInt8(ascii: "0") + UInt8(count))
        } else {
            encoded.writeString(String(count))
        }
        end()
    }
}
