// Every bound of the embedded store, with its unit and its reason, and those that an operator may choose.

import KontorCore

/// The named bounds of the embedded store. Sizes are bytes, durations milliseconds, unless the name says otherwise.
public enum EmbeddedLimits {
    // MARK: Memory

    /// Folded records kept in memory: every account and recent order of a large shop, and about 1 GB at worst.
    public static let cacheRecords = 2_000_000
    /// Slots that eviction looks at in one turn, which takes less than a tenth of a millisecond.
    static let evictionVisits = 2_048
    /// Loads for which the table is read in one transaction: enough that its locks cost little, and so few that the
    /// shop need not wait for all that it lacks.
    static let coldLoads = 32
    /// Records in one page of a scan of open work.
    static let scanPage = 1_000

    /// What a record in memory takes, with its slot and its share of the tables, in bytes.
    static let recordBytes = 500
    /// What the records of a byte of journal take in memory, in bytes: a short record takes four times its frame.
    static let memoryByJournal = 4
    /// What a process takes besides records, caches and slices: code, threads, buffers, and 2,000 requests.
    static let baseMemoryBytes = 96 << 20
    /// The least memory with which a store starts: some ten thousand records, and slices of a useful size.
    static let leastMemoryBytes = 192 << 20
    /// The part of a machine's memory that is for Kontor, if no control group says more: one in so many.
    static let machineShare = 2

    // MARK: Journal

    /// The size at which a segment is closed. Segments are deleted as a whole, and as much is kept reserved for work
    /// that has begun.
    public static let segmentBytes = 64 << 20
    /// The size that changes may encode to before they become a frame, although the disk is busy. It bounds what a
    /// crash can tear and what a fold reads at once, and is many times what a sync usually covers.
    static let frameBytes = 4 << 20
    /// Room reserved behind a segment's end for the frame that passes it: `frameBytes`, and the group that went beyond.
    static let lastFrameBytes = 2 * frameBytes
    /// The time between two tries of a reservation, or of a step of the fold, that failed.
    static let reserveRetryMilliseconds: Int64 = 1_000

    /// The time from which a sync counts as slow: a healthy disk needs a hundredth of it, and clients begin to notice.
    static let slowSyncMilliseconds: Int64 = 250
    /// The time between two warnings while syncs stay slow.
    static let slowSyncReminderMilliseconds: Int64 = 10_000

    // MARK: Fold

    /// Unfolded journal from which the fold works although the shop is busy. What is younger waits, because a record
    /// that changes often is then folded once.
    public static let foldStartBytes = 16 << 20
    /// Journal that one slice, which is one transaction, moves to the table. Random keys touch most pages once in each
    /// slice: with 4 MiB a record costs twice as much, with 1 MiB six times. The fold needs about twice this in memory.
    public static let foldSliceBytes = 16 << 20
    /// Changes in one slice: bounds the time and the memory of its sort.
    static let foldSliceChanges = 300_000
    /// Unfolded journal from which the fold no longer gives way to other threads: a start must replay it in about 1.5
    /// s.
    static let urgentFoldBytes = 96 << 20
    /// Unfolded journal from which new work is refused: the fold does not keep up, and a start would take too long.
    public static let unfoldedBytes = 1 << 30
    /// The time without a frame after which everything is folded and checkpointed.
    static let idleMilliseconds: Int64 = 1_000
    /// Folded journal between two checkpoints: bounds the table's write-ahead log, and the segments that wait for
    /// deletion.
    public static let checkpointBytes = 64 << 20

    /// Expired records that one transaction removes: it takes some hundred milliseconds on the fold's lane.
    static let expireSlice = 10_000
    /// The time between two looks for expired records: far shorter than any record is kept.
    static let expireMilliseconds: Int64 = 1_000
    /// How often the audit trail of a shop without idempotency keys is looked at for entries whose time is over.
    static let trailLookMilliseconds: Int64 = 3_600_000
    /// The time until a removal that failed is tried again: it can wait, and each failure is a line in the log.
    static let expireRetryMilliseconds: Int64 = 60_000
    /// What one record that is removed or listed adds to the table's write-ahead log, at most: a page. Usually many
    /// share one.
    static let changedRecordBytes = 4_096

    /// Changes of the indexes in one chunk of what is not folded. A read sorts those that are new: in less than a
    /// millisecond.
    static let indexChunk = 1_024
    /// Records of an older store that one transaction looks at, to list them: some ten milliseconds on the fold's lane.
    static let listSlice = 2_000
    /// How often the log tells how far that is.
    static let listNoticeMilliseconds: Int64 = 10_000
    /// The time until a slice that failed is tried again.
    static let listRetryMilliseconds: Int64 = 10_000

    // MARK: Table

    /// SQLite's page cache, at most: one for the writer and one for the reader.
    static let pageCacheBytes = 64 << 20
    /// Room from which SQLite has a file for its log's index again: the index of a log of 64 MiB, and a little more.
    static let indexBytes = 1 << 20
    /// How long a checkpoint waits for another process's reader (an audit, a backup) before it gives up.
    static let busyMilliseconds = 100

    // MARK: Backup

    /// The size from which a backup's records become a frame, which a restore writes in one transaction. A restore
    /// needs a few times this in memory.
    static let backupFrameBytes = 1 << 20

    // MARK: Doctor

    /// Open checkouts that the doctor names, the oldest: they fit on a screen.
    public static let oldestSagas = 10

    /// What a start replays in a millisecond, for estimates only: 100 MiB take 1.5 s.
    static let replayBytesPerMillisecond = 64 << 10

    // MARK: Snapshots

    /// How often a snapshot is tried: each time the owner may delete a segment that is being read.
    static let snapshotAttempts = 5
}

/// What an operator (or a test with a small disk) may choose.
public struct EmbeddedOptions: Sendable {
    /// See ``EmbeddedLimits/cacheRecords``.
    public var cacheRecords = EmbeddedLimits.cacheRecords
    /// See ``EmbeddedLimits/segmentBytes``.
    public var segmentBytes = EmbeddedLimits.segmentBytes
    /// See ``EmbeddedLimits/foldStartBytes``.
    public var foldStartBytes = EmbeddedLimits.foldStartBytes
    /// See ``EmbeddedLimits/foldSliceBytes``.
    public var foldSliceBytes = EmbeddedLimits.foldSliceBytes
    /// See ``EmbeddedLimits/checkpointBytes``.
    public var checkpointBytes = EmbeddedLimits.checkpointBytes
    /// See ``EmbeddedLimits/unfoldedBytes``.
    public var unfoldedBytes = EmbeddedLimits.unfoldedBytes
    /// See `Limits.trailMilliseconds`.
    public var trailMilliseconds = Limits.trailMilliseconds

    /// The defaults.
    public init() {}
}
