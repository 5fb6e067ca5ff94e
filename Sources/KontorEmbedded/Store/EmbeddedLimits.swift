// Every bound of the embedded store, with its unit and its reason, and the few of them that an operator may choose.

/// The named bounds of the embedded store. Sizes are bytes, durations milliseconds, unless the name says otherwise.
public enum EmbeddedLimits {
    // MARK: Memory

    /// Clean records kept in memory: about 1 GB at worst, and every account and fresh order of a large shop.
    public static let cacheRecords = 2_000_000
    /// Slots that eviction looks at in one turn: a turn stays below a tenth of a millisecond.
    static let evictionVisits = 2_048
    /// Records of one page of a scan of open work.
    static let scanPage = 1_000

    // MARK: Journal

    /// A segment is closed at this size: the unit of deletion, and what stays reserved for work that has begun.
    public static let segmentBytes = 64 << 20
    /// A batch that may encode to this much becomes a frame of its own: what a crash can tear, what a fold reads at once, and
    /// many times what a sync usually covers.
    static let frameBytes = 4 << 20
    /// Reserved behind a segment's end for the frame that passes it: the largest batch, and the group that made it so large.
    static let lastFrameBytes = 2 * frameBytes
    /// How often a failed reservation is tried again.
    static let reserveRetryMilliseconds: Int64 = 1_000

    /// A sync that takes this long is told: a healthy disk needs a hundredth, and clients begin to notice.
    static let slowSyncMilliseconds: Int64 = 250
    /// While syncs stay slow, it is told this often.
    static let slowSyncReminderMilliseconds: Int64 = 10_000

    // MARK: Fold

    /// The fold starts here, and stops here while the shop is busy: records that change often are folded once.
    public static let foldStartBytes = 16 << 20
    /// Journal in one slice, which is one transaction: random keys touch most pages once per slice, so that slices of 4 MiB
    /// cost twice as much per record, and of 1 MiB six times. Memory of the fold is about twice this.
    public static let foldSliceBytes = 16 << 20
    /// Changes in one slice: bounds the sort, and its memory.
    static let foldSliceChanges = 300_000
    /// From here the fold no longer gives way to other threads: a replay must stay below about 1.5 s.
    static let urgentFoldBytes = 96 << 20
    /// From here new work is refused: the fold does not keep up, and a restart would take too long.
    public static let unfoldedBytes = 1 << 30
    /// The journal has been quiet for this long: fold everything, then checkpoint.
    static let idleMilliseconds: Int64 = 1_000
    /// Folded journal between two checkpoints: bounds the table's write-ahead log, and the segments that wait for deletion.
    public static let checkpointBytes = 64 << 20

    /// Expired records that one transaction of the table removes: some hundred milliseconds on the fold's lane.
    static let expireSlice = 10_000
    /// How often the table is asked for expired records: far below what any record is kept for.
    static let expireMilliseconds: Int64 = 1_000
    /// How often a removal that failed is tried again: it can wait, and each failure is a line in the log.
    static let expireRetryMilliseconds: Int64 = 60_000
    /// What an expired record weighs in the table's write-ahead log, roughly: it dirties a page of its own in the worst case, and
    /// shares it with many in the usual one.
    static let expiredRecordBytes = 4_096

    // MARK: Table

    /// SQLite's page cache, KiB, of the writer and of the reader.
    static let pageCacheKiB = 64 << 10
    /// How long the table waits for another process's reader (an audit, a backup) before it says busy.
    static let busyMilliseconds = 100
    // MARK: Backup

    /// Records of a backup in one frame, which a restore writes in one transaction. Its memory is a few times this.
    static let backupFrameBytes = 1 << 20

    /// Open checkouts that the doctor names: the oldest, one screen of them.
    public static let oldestSagas = 10

    /// What a start replays, for estimates only: 1.5 s for 100 MiB.
    static let replayBytesPerMillisecond = 64 << 10

    // MARK: Snapshots

    /// How often a snapshot begins again because the journal was cut behind it while it looked.
    static let snapshotAttempts = 5
}

/// What an operator (or a test with a small disk) may choose.
public struct EmbeddedOptions: Sendable {
    public var cacheRecords = EmbeddedLimits.cacheRecords
    public var segmentBytes = EmbeddedLimits.segmentBytes
    public var foldStartBytes = EmbeddedLimits.foldStartBytes
    public var foldSliceBytes = EmbeddedLimits.foldSliceBytes
    public var checkpointBytes = EmbeddedLimits.checkpointBytes
    public var unfoldedBytes = EmbeddedLimits.unfoldedBytes

    public init() {}
}
