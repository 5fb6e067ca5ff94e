// A frame: what one side of a link says at once. Which messages go where, and when, is decided elsewhere.
//
//     UInt32 length of the rest | version | kind | UInt16 number of items | items           (all little-endian)

import KontorCore

/// Why a connection cannot go on.
struct LinkFailure: Error, Hashable {
    let reason: String

    init(_ reason: String) { self.reason = reason }

    init(_ failure: DecodingFailure) {
        switch failure {
        case .truncated: reason = "a frame ends within an item"
        case .invalid(let what): reason = "a frame has \(what) that cannot be read"
        case .newerFormat(let version): reason = "a frame has the unknown format \(version)"
        }
    }
}

enum FrameKind: UInt8, CaseIterable {
    /// For a ledger: number, deadline, command.
    case messages = 1
    /// For an order service: number, command.
    case questions = 2
    /// Number of the message, reply.
    case ledgerReplies = 3
    /// Number of the question, reply.
    case orderReplies = 4
    /// Without items, from the client.
    case ping = 5
    /// Without items, to each ping.
    case pong = 6
    /// Without items, from the server: it will be gone soon, and wants no more messages. Replies still come.
    case leaving = 7
}

/// A frame that has arrived, its items still encoded.
struct Frame {
    static let lengthBytes = 4
    /// Behind the length.
    static let headBytes = 4

    let kind: FrameKind
    let count: Int
    private let items: ArraySlice<UInt8>

    /// - Parameter bytes: what is behind the length.
    init(_ bytes: [UInt8]) throws(LinkFailure) {
        do throws(DecodingFailure) {
            var reader = ByteReader(bytes)
            let version = try reader.byte()
            // The version comes first: what a newer one means by the rest is not known.
            guard version == Wire.formatVersion else { throw .newerFormat(version) }
            guard let kind = FrameKind(rawValue: try reader.byte()) else { throw .invalid("a kind") }
            self.kind = kind
            count = Int(try reader.fixed(UInt16.self))
            guard count <= LinkLimits.frameItems else { throw .invalid("\(count) items") }
            items = bytes[reader.position...]
        } catch {
            throw LinkFailure(error)
        }
    }

    /// Reads the items: all, or none.
    func read<Item>(_ item: (inout ByteReader) throws(DecodingFailure) -> Item) throws(LinkFailure) -> [Item] {
        var reader = ByteReader(items)
        var read: [Item] = []
        // As many as there can be, whatever the frame says: no item is smaller.
        read.reserveCapacity(min(count, items.count / 4))
        do throws(DecodingFailure) {
            for _ in 0..<count { read.append(try item(&reader)) }
            guard reader.isAtEnd else { throw .invalid("bytes behind its items") }
        } catch {
            throw LinkFailure(error)
        }
        return read
    }
}

// MARK: Items

/// A message as it crosses: a number of its connection instead of a reply.
struct NumberedMessage: Hashable {
    let number: UInt32
    let deadline: Int64
    let command: LedgerCommand

    init(number: UInt32, deadline: Int64, command: LedgerCommand) {
        self.number = number
        self.deadline = deadline
        self.command = command
    }

    init(from reader: inout ByteReader) throws(DecodingFailure) {
        number = try reader.fixed(UInt32.self)
        deadline = try reader.fixed(Int64.self)
        command = try LedgerCommand(fromWire: &reader)
    }

    func encode(into writer: inout ByteWriter) {
        writer.fixed(number)
        writer.fixed(deadline)
        command.encodeForWire(into: &writer)
    }
}

struct NumberedQuestion: Hashable {
    let number: UInt32
    let command: OrderCommand

    init(number: UInt32, command: OrderCommand) {
        self.number = number
        self.command = command
    }

    init(from reader: inout ByteReader) throws(DecodingFailure) {
        number = try reader.fixed(UInt32.self)
        command = try OrderCommand(fromWire: &reader)
    }

    func encode(into writer: inout ByteWriter) {
        writer.fixed(number)
        command.encodeForWire(into: &writer)
    }
}

struct NumberedReply<Outcome: WireOutcome>: Hashable {
    let number: UInt32
    let reply: Reply<Outcome>

    init(number: UInt32, reply: Reply<Outcome>) {
        self.number = number
        self.reply = reply
    }

    init(from reader: inout ByteReader) throws(DecodingFailure) {
        number = try reader.fixed(UInt32.self)
        reply = try Reply(fromWire: &reader)
    }

    func encode(into writer: inout ByteWriter) {
        writer.fixed(number)
        reply.encodeForWire(into: &writer)
    }
}
