// Whether the lists have exactly the accounts and orders that there are: by sums, which need no memory.

import KontorCore

/// Sums over the entries that there are, and over those that there should be.
struct ListSums {
    private var entries = 0
    private var heads = 0
    /// The difference of the sums of hashes; not 0 if an entry is missing, or is not where its order says.
    private var difference: UInt64 = 0

    mutating func add(_ key: RecordKey, _ record: Record) {
        if case .listed = key.member {
            entries += 1
            difference &+= Self.hash(key)
        } else if key.member == .head, let entry = record.listEntry {
            heads += 1
            difference &-= Self.hash(RecordKey(key.group, .listed(entry)))
        }
    }

    /// What is wrong; nil: nothing.
    var finding: String? {
        if entries == heads, difference == 0 { return nil }
        return "they have \(entries) entries for \(heads) accounts and orders"
            + (entries == heads ? ", and not all are where they should be" : "")
    }

    /// FNV-1a, of 64 bits.
    private static func hash(_ key: RecordKey) -> UInt64 {
        var writer = ByteWriter()
        key.encode(into: &writer)
        return writer.bytes.reduce(14_695_981_039_346_656_037) { ($0 ^ UInt64($1)) &* 1_099_511_628_211 }
    }
}
