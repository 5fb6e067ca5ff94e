// The names of the journal's files, and what a look at its directory finds.

/// The names of the journal's files.
struct JournalPaths: Sendable {
    /// The journal's directory.
    let directory: String

    /// - Parameter directory: the store's.
    init(_ directory: String) { self.directory = directory + "/journal" }

    /// The next segment's file, which is reserved and not yet a part of the journal.
    var spare: String { directory + "/spare" }

    /// The segment whose first frame has this sequence.
    func segment(_ firstSequence: UInt64) -> String { directory + "/" + Self.digits(firstSequence) + Self.segmentSuffix }

    /// The empty file whose name says which segment is the newest. Without it nobody would miss that segment.
    func newest(_ firstSequence: UInt64) -> String { directory + "/" + Self.newestPrefix + Self.digits(firstSequence) }

    /// What the directory has.
    struct Listing: Equatable {
        /// The first sequences of all segments, ascending.
        var segments: [UInt64] = []
        /// The segment that was named the newest; nil if none was, as before release 0.2.
        var newest: UInt64?
    }

    /// Looks into the directory.
    func list(_ files: any FileSystem) throws(EmbeddedError) -> Listing {
        var found = Listing()
        for name in try files.list(directory) {
            if let sequence = Self.number(name, "", Self.segmentSuffix) { found.segments.append(sequence) }
            if let sequence = Self.number(name, Self.newestPrefix, "") { found.newest = max(found.newest ?? 0, sequence) }
        }
        found.segments.sort()
        return found
    }

    private static let segmentSuffix = ".journal"
    private static let newestPrefix = "newest-"
    /// As many digits as the largest sequence has, so that names sort as sequences do.
    private static let nameDigits = 20

    private static func digits(_ sequence: UInt64) -> String {
        let digits = String(sequence)
        return String(repeating: "0", count: nameDigits - digits.count) + digits
    }

    private static func number(_ name: String, _ prefix: String, _ suffix: String) -> UInt64? {
        guard name.hasPrefix(prefix), name.hasSuffix(suffix), name.utf8.count == prefix.count + nameDigits + suffix.count
        else { return nil }
        return UInt64(name.dropFirst(prefix.count).prefix(nameDigits))
    }
}
