// Names of things: accounts, orders, and the sagas that join them.

/// The name of an item, a user or an order: 1 to 64 characters of `A-Z a-z 0-9 _ . ~ -`.
public struct Identifier: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// 1 to 64 of the allowed characters.
    public let text: String

    /// - Returns: nil if `text` is not a valid identifier.
    public init?(_ text: String) {
        var utf8 = text.utf8.makeIterator()
        var length = 0
        while let byte = utf8.next() {
            length += 1
            guard length <= Limits.identifierBytes, Self.isAllowed(byte) else { return nil }
        }
        guard length > 0 else { return nil }
        self.text = text
    }

    /// Makes a name of Kontor's own; `text` must be valid.
    public init(reserved text: StaticString) {
        self.text = "\(text)"
    }

    /// The name of the groups that have what belongs to `batch_init`s of their kind: lease, keys, entries of the audit
    /// trail. Nothing of this name can be created.
    public static let batchInit = Identifier(reserved: "~batch_init")

    /// The name of the group that shows whether a process lives, by the number of the versions that it writes.
    public init(heartbeatOf writer: UInt64) { text = "~process-" + String(writer, radix: 16) }

    /// The identifier that `batch_init` gives to its `number`th record.
    public init(number: Int) {
        text = String(number)
    }

    /// Makes a version 8 UUID (RFC 9562) from 122 bits of a hash.
    public init(hash high: UInt64, _ low: UInt64) {
        self.init(version: 0x8000, high, low)
    }

    private init(version: UInt64, _ high: UInt64, _ low: UInt64) {
        let versioned = (high & 0xFFFF_FFFF_FFFF_0FFF) | version
        let variant = (low & 0x3FFF_FFFF_FFFF_FFFF) | 0x8000_0000_0000_0000
        text = String(unsafeUninitializedCapacity: 36) { buffer in
            var position = 0
            for nibble in 0..<32 {
                if nibble == 8 || nibble == 12 || nibble == 16 || nibble == 20 {
                    buffer[position] = UInt8(ascii: "-")
                    position += 1
                }
                let half = nibble < 16 ? versioned : variant
                let digit = UInt8((half >> UInt64(60 - 4 * (nibble & 15))) & 15)
                buffer[position] = digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
                position += 1
            }
            return position
        }
    }

    /// Makes a version 7 UUID (RFC 9562): the time in milliseconds since 1970, then 74 random bits. Sorted, such ids
    /// have the order of their creation, so a fold writes new records side by side; with random ids it would write one
    /// page for each record.
    public init(createdAt milliseconds: Int64, random high: UInt64, _ low: UInt64) {
        let timed = UInt64(truncatingIfNeeded: milliseconds) << 16 | high & 0x0FFF
        self.init(version: 0x7000, timed, low)
    }

    public static func < (left: Identifier, right: Identifier) -> Bool { left.text < right.text }
    public var description: String { text }

    /// Whether an identifier may contain this byte.
    @inlinable
    public static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "~"),
            UInt8(ascii: "-"):
            return true
        default:
            return false
        }
    }
}

/// Names one attempt to check out one incarnation of an order.
///
/// The order's id is not enough: a failed order is checked out again under the next `attempt`, and `batch_init` reuses
/// ids under a new `incarnation` of 64 random bits.
public struct SagaID: Hashable, Sendable, CustomStringConvertible {
    public let order: Identifier
    /// See ``Order/incarnation``.
    public let incarnation: UInt64
    /// See ``Order/attempt``.
    public let attempt: UInt32

    public init(order: Identifier, incarnation: UInt64, attempt: UInt32) {
        self.order = order
        self.incarnation = incarnation
        self.attempt = attempt
    }

    /// The name of the lock that a direct payment for an order takes while the order is asked. Attempts of checkouts
    /// begin at 1.
    public static func payment(for order: Identifier) -> SagaID { SagaID(order: order, incarnation: 0, attempt: 0) }

    /// Whether it names the lock of a direct payment and no checkout.
    public var isPayment: Bool { attempt == 0 }

    public var description: String { "\(order)/\(String(incarnation, radix: 16))/\(attempt)" }
}
