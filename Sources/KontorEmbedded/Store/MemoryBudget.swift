// How a limit of memory is shared out: from it follow the bounds of the store's caches and of its unfolded journal.

/// The bounds that fit a limit of memory.
public struct MemoryBudget: Hashable, Sendable {
    /// Why there is no budget.
    public enum Refusal: Error, Hashable, Sendable, CustomStringConvertible {
        /// The limit is too small for any shop.
        case tooLittle(MemoryLimit)
        /// The cache that was asked for does not fit.
        case cacheTooLarge(records: Int, most: Int, MemoryLimit)

        /// The sentence that an operator reads.
        public var description: String {
            switch self {
            case .tooLittle(let limit):
                "Kontor needs \(EmbeddedLimits.leastMemoryBytes >> 20) MiB of memory, and the \(limit.source.rawValue) "
                    + "leaves it \(limit.bytes >> 20) MiB: raise the limit."
            case .cacheTooLarge(let records, let most, let limit):
                "--cache-records (KONTOR_CACHE_RECORDS) is \(records), which takes about "
                    + "\((records * EmbeddedLimits.recordBytes) >> 20) MiB. The \(limit.source.rawValue) leaves Kontor "
                    + "\(limit.bytes >> 20) MiB: at most \(most) records fit, or raise the limit."
            }
        }
    }

    /// Folded records in memory.
    public let cacheRecords: Int
    /// Unfolded journal from which new work is refused, in bytes: its records are in memory.
    public let unfoldedBytes: Int
    /// Journal that one slice moves to the table, in bytes.
    public let foldSliceBytes: Int
    /// The page cache of each of SQLite's two connections, in bytes.
    public let pageCacheBytes: Int

    /// The bounds for a limit. None is larger than without a limit.
    ///
    /// - Parameters:
    ///   - limit: the memory for this process; nil if it is not known.
    ///   - cacheRecords: what an operator has chosen; nil if nothing.
    public init(_ limit: MemoryLimit?, cacheRecords: Int? = nil) throws(Refusal) {
        guard let limit else {
            self.cacheRecords = cacheRecords ?? EmbeddedLimits.cacheRecords
            unfoldedBytes = EmbeddedLimits.unfoldedBytes
            foldSliceBytes = EmbeddedLimits.foldSliceBytes
            pageCacheBytes = EmbeddedLimits.pageCacheBytes
            return
        }
        guard limit.bytes >= EmbeddedLimits.leastMemoryBytes else { throw .tooLittle(limit) }
        let left = limit.bytes - EmbeddedLimits.baseMemoryBytes
        pageCacheBytes = min(EmbeddedLimits.pageCacheBytes, left / 16)
        foldSliceBytes = min(EmbeddedLimits.foldSliceBytes, max(EmbeddedLimits.frameBytes, left / 32))
        // Twice the slice: what is read, and its sorted changes. An eighth is for what nobody has counted.
        let records = left - left / 8 - 2 * pageCacheBytes - 2 * foldSliceBytes
        // Half for the cache, half for what is not folded: a record of the second sort cannot leave.
        let most = records / 2 / EmbeddedLimits.recordBytes
        unfoldedBytes = min(EmbeddedLimits.unfoldedBytes, records / 2 / EmbeddedLimits.memoryByJournal)
        if let cacheRecords, cacheRecords > most {
            throw .cacheTooLarge(records: cacheRecords, most: most, limit)
        }
        self.cacheRecords = cacheRecords ?? min(EmbeddedLimits.cacheRecords, most)
    }

    /// The options of a store that keeps these bounds.
    public var options: EmbeddedOptions {
        var options = EmbeddedOptions()
        options.cacheRecords = cacheRecords
        options.unfoldedBytes = unfoldedBytes
        options.foldSliceBytes = foldSliceBytes
        options.foldStartBytes = min(options.foldStartBytes, unfoldedBytes / 4)
        return options
    }
}
