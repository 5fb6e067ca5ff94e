// The epoch of a store: whose it is, and in which format its records are written. Every partition has a copy, and every
// command compares it.

import KontorCore
import KontorService

/// What `kontor init` writes into every partition, and `kontor upgrade --finish` raises.
///
/// In format 3 a copy is the id of the shop, as release 0.1 writes it. From format 4 on it is `id/format/partition`:
/// the copies differ, so release 0.1, which wants them all the same, refuses to start over the store, to initialize it,
/// and to go on with it.
public struct StoreEpoch: Hashable, Sendable {
    /// The id of the shop: the same in all of its stores, and what its links bear.
    public let shop: [UInt8]
    public let format: RecordFormat

    public init(shop: [UInt8], format: RecordFormat = .newest) {
        self.shop = shop
        self.format = format
    }

    /// The copy of one partition.
    func bytes(_ partition: Int) -> [UInt8] {
        format == .three ? shop : shop + Array("/\(format.rawValue)/\(partition)".utf8)
    }

    /// The copies of all partitions.
    var copies: [[UInt8]] { (0..<Partition.count).map(bytes) }
}

/// A copy of an epoch as it was found.
struct EpochCopy: Hashable {
    /// Stands behind an epoch that is not in all stores yet. Nobody serves from such a store; initializing it again
    /// goes on.
    static let pendingMark = UInt8(ascii: "?")

    let shop: [UInt8]
    /// The number of the format; this release may not know it. nil: the copy is not what any release writes here.
    let format: UInt8?
    let isPending: Bool

    /// Reads the copy of a partition.
    init(_ bytes: [UInt8], of partition: Int) {
        isPending = bytes.last == Self.pendingMark
        let parts = (isPending ? bytes.dropLast() : bytes[...]).split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        shop = Array(parts.first ?? [])
        switch parts.count {
        case 1: format = RecordFormat.three.rawValue
        case 3 where Int(String(decoding: parts[2], as: UTF8.self)) == partition:
            format = UInt8(String(decoding: parts[1], as: UTF8.self))
        default: format = nil
        }
    }
}
