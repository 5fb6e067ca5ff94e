// A command, encoded while it is built. Arguments are bytes of any kind; nothing is quoted or escaped.

import NIOCore

/// A command in its encoded form: an array of bulk strings.
///
///     var command = RedisCommand("SET", argumentCount: 2)
///     command.append(key)
///     command.append(value)
///
/// A command can be sent any number of times.
public struct RedisCommand: Sendable {
    private var arguments: RedisArguments
    private let announced: Int

    /// Begins a command.
    ///
    /// - Parameters:
    ///   - name: Its first word.
    ///   - argumentCount: How many arguments will be appended. Sending the command with fewer is a bug.
    ///   - capacity: About how many bytes they have; a good guess saves copies.
    public init(_ name: String, argumentCount: Int, capacity: Int = 96) {
        precondition(argumentCount >= 0, "a command has a negative number of arguments")
        announced = argumentCount + 1
        arguments = RedisArguments(ofCommandWith: announced, capacity: capacity + name.utf8.count + 32)
        append(name)
    }

    /// Makes a command of words: `RedisCommand("CLUSTER", "SLOTS")`.
    public init(_ name: String, _ arguments: String...) {
        self.init(name, arguments: arguments)
    }

    /// Makes a command whose arguments are all text.
    public init(_ name: String, arguments: [String]) {
        self.init(name, argumentCount: arguments.count, capacity: arguments.reduce(0) { $0 + $1.utf8.count + 10 })
        for argument in arguments { append(argument) }
    }

    var encoded: ByteBuffer { arguments.encoded }
    /// How many arguments were announced and not yet appended.
    var missing: Int { announced - arguments.count }

    /// Appends an argument.
    public mutating func append(_ text: String) { arguments.append(text) }
    /// Appends an argument.
    public mutating func append(_ bytes: [UInt8]) { arguments.append(bytes) }
    /// Appends a number in digits.
    public mutating func append(_ number: Int) { arguments.append(number) }
    /// Appends arguments that are already encoded.
    public mutating func append(_ more: RedisArguments) { arguments.append(more) }
}

/// Arguments in their encoded form, for a command that collects them from several places.
public struct RedisArguments: Sendable {
    private(set) var encoded = ByteBuffer()
    /// How many there are.
    public private(set) var count = 0

    /// Begins with none.
    public init() {}

    /// Begins a command; its name is one of the arguments.
    fileprivate init(ofCommandWith arguments: Int, capacity: Int) {
        encoded.reserveCapacity(capacity)
        writeHeader(UInt8(ascii: "*"), arguments)
    }

    /// The size of the encoded form.
    public var byteCount: Int { encoded.readableBytes }

    /// Appends an argument.
    public mutating func append(_ text: String) {
        begin(text.utf8.count)
        encoded.writeString(text)
        end()
    }

    /// Appends an argument.
    public mutating func append(_ bytes: [UInt8]) {
        begin(bytes.count)
        encoded.writeBytes(bytes)
        end()
    }

    /// Appends a number in digits.
    public mutating func append(_ number: Int) { append(String(number)) }

    /// Appends arguments that are already encoded.
    public mutating func append(_ more: RedisArguments) {
        count += more.count
        encoded.writeImmutableBuffer(more.encoded)
    }

    private mutating func begin(_ bytes: Int) {
        count += 1
        writeHeader(UInt8(ascii: "$"), bytes)
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
