// Every bound of Kontor, with its unit and its reason. A caller that meets a bound gets a clear error, and nothing is
// lost.

/// The named bounds. Durations are milliseconds, sizes are bytes, unless the name says otherwise.
public enum Limits {
    // MARK: What a client may say

    /// Longest identifier: UUIDs need 36; records stay of constant size.
    public static let identifierBytes = 64
    /// Most units in one request: what the HTTP contract promises.
    public static let unitsPerRequest: Int64 = 1_000_000_000
    /// Most money in one amount, in hundredths: exact in a JSON reader that uses doubles.
    public static let moneyHundredths: Int64 = 10_000_000_000_000
    /// Largest balance of an account (units or hundredths): sums of two amounts can never overflow an `Int64`.
    public static let balance: Int64 = 10_000_000_000_000
    /// Largest lifetime total of an account: a million full balances, and still far from overflow.
    public static let lifetimeTotal: Int64 = 4_000_000_000_000_000_000
    /// Most digits behind the point that are read (and rounded): a Python `float` prints at most 17.
    public static let moneyFractionDigits = 40
    /// Most lines of an order: one checkout holds a lock per line, and one record carries them all.
    public static let orderLines = 256
    /// Longest `Idempotency-Key`: what the HTTP contract promises.
    public static let idempotencyKeyBytes = 255
    /// Most accounts or orders in one `batch_init`: ten times what the public clients send.
    public static let batchInitRecords = 1_000_000

    // MARK: Time

    /// How long a request may take, unless the client says otherwise.
    public static let deadlineMilliseconds: Int64 = 5_000
    /// How long a request may take at most: no caller can pin a lock for longer. Much follows from it: in the code, and
    /// in the gateway's, compose's and Kubernetes' times, which `scripts/derive-times` reads from here. It stays a
    /// plain number for that script.
    public static let longestDeadlineMilliseconds: Int64 = 30_000
    /// A saga gives up waiting this long before its caller's deadline, so that the refusal still arrives.
    public static let deadlineMarginMilliseconds: Int64 = 250
    /// When an unanswered message of a saga is sent again: many round trips, yet a tenth of a deadline.
    public static let resendMilliseconds = deadlineMilliseconds / 10
    /// How often deadlines and resends are checked: fine enough for both.
    public static let tickMilliseconds: Int64 = 25

    /// The latest moment that is read from a record or message, milliseconds since 1970: the end of the year 9999, as
    /// far as dates are written. Any duration of these limits can be added to it.
    public static let latestTime: Int64 = 253_402_300_799_999
    /// By how much the clocks of any two processes may differ: far more than clocks that are synchronised. If they
    /// differ by more, a late message may be accepted: that costs time, never stock.
    public static let clockSkewMilliseconds: Int64 = 60_000
    /// How often one of several processes looks for sagas that nobody drives: a fifth of the time in which they must
    /// have ended.
    public static let takeoverScanMilliseconds = deadlineMilliseconds / 5
    /// Partitions that such a scan reads at a time: it takes 32 round trips instead of 512, and is no burst.
    public static let partitionsAtOnce = 16
    /// The age at which a saga that stands still is taken over: three times what a lost message costs a coordinator
    /// that lives.
    public static let takeoverAgeMilliseconds = 3 * resendMilliseconds
    /// A random time up to this is added, so that not all processes take over the same saga.
    public static let takeoverJitterMilliseconds: Int64 = 500
    /// How often one of several processes scans for holds and markers of sagas that are over: these are in nobody's
    /// way.
    public static let orphanScanMilliseconds: Int64 = 10_000

    /// How often waiters are decided again: another process can free an amount without waking them.
    public static let waiterRetryMilliseconds: Int64 = 100

    // MARK: What processes say to each other

    /// Messages in one frame: as many as one engine decides in a batch, several times over.
    public static let frameMessages = 8 * engineBatchCommands
    /// The size at which a frame is closed and another one begun: some 2,000 holds, encoded and read within a
    /// millisecond.
    public static let fullFrameBytes = 256 << 10
    /// The largest message: an order of 256 lines with its saga and history, of about 100 KiB, twice over.
    public static let messageBytes = 256 << 10
    /// The largest frame that is read: a nearly full one with the largest message added.
    public static let frameBytes = fullFrameBytes + messageBytes + 64
    /// Replies that one link waits for: several messages of all open sagas. Beyond it the oldest are forgotten.
    public static let pendingReplies = 131_072
    /// How long a link waits for a reply: the longest deadline of a message, and the skew of the clocks. By then the
    /// sender has repeated the request many times.
    public static let pendingReplyMilliseconds = longestDeadlineMilliseconds + clockSkewMilliseconds

    // MARK: What is remembered

    /// How long a key is kept, unless configured: a client that repeats a request after a day begins a new one.
    public static let keyRetentionMilliseconds: Int64 = 24 * 3_600_000
    /// How long a key of the gateway is kept: two requests that both take as long as they may, and what the gateway
    /// then asks once more, end within three times the longest deadline. The fourth is for clocks that differ.
    public static let gatewayKeyRetentionMilliseconds = 4 * longestDeadlineMilliseconds
    /// Groups that a process caches of a shared store: all hot accounts and all open orders; some 30 MB.
    public static let rememberedGroups = 50_000
    /// Members that it caches of one group before it drops them and begins again: all open holds on a hot item.
    public static let rememberedMembers = 1_000
    /// Keys kept at a time, unless configured: a day of a hundred keyed writes a second, about 3 GB on disk. At the
    /// bound new keyed writes are refused, and none is dropped early.
    public static let keptKeys = 10_000_000
    /// Attempts that an order's history keeps: enough to see what keeps going wrong. The oldest are dropped first.
    public static let rememberedAttempts = 8
    /// Bytes that earlier attempts may take in an order's record: eight attempts of usual size, or one of 256 lines.
    static let historyBytes = 4 << 10

    // MARK: What operators are told

    /// How often gauges are set: no scraper asks more often.
    public static let gaugeMilliseconds: Int64 = 1_000
    /// A period of refusals ends when this long nothing was refused: one that comes and goes is reported once.
    public static let refusalQuietMilliseconds: Int64 = 5_000
    /// How often the log repeats a period of refusals that goes on.
    public static let refusalReminderMilliseconds: Int64 = 60_000

    // MARK: Work in progress

    /// Commands that one engine decides in one batch: the first one's answer waits for the last one.
    public static let engineBatchCommands = 512
    /// Commands that wait in one ledger's mailbox. Beyond it the ledger drops messages of sagas, which are sent again.
    /// It has room for several for each leg of all open sagas of usual size, so only repetitions to a store that hangs
    /// reach it.
    public static let mailboxCommands = 10 * openSagas
    /// Checkouts that have begun and not finished: bounds the number of holds, and the time of a recovery.
    public static let openSagas = 20_000
    /// Sagas that one of several processes watches in order to take them over: those of five processes. It watches the
    /// others when some of these have ended.
    public static let watchedSagas = 5 * openSagas
    /// Commands that wait behind one unsettled commit: a hot item's of a second. Beyond it they are refused: a shard
    /// can be away for hours.
    public static let parkedCommands = 1_000
    /// Fences of unknown outcome that are remembered for one group: 25 s of them. If an older one landed, the commit's
    /// outcome stays unknown, and its callers are told so.
    public static let rememberedFences = 1_000
    /// Callers that wait for contended amounts in one ledger: each costs memory until its deadline.
    public static let waiters = 50_000
    /// Records of one `batch_init` slice: other requests are served between two slices.
    public static let batchInitSlice = 500
    /// `batch_init`s that run at a time: each writes as fast as the disk takes it.
    public static let batchInitsAtOnce = 1
    /// Requests accepted and not answered: about 100 ms of work at full speed. More are refused at once (429): a longer
    /// queue would only make everybody wait. Each connection has one request, so this must be less than a listener's
    /// connections.
    public static let requestsInFlight = 2_000
    /// Reads that are accepted beyond that: they find room while checkouts are refused.
    public static let readsReserve = 500
    /// Requests that one turn of the shop takes: its answers wait for all of them, and then for one sync.
    public static let requestsPerTurn = 16
    /// Records committed and not durable, beyond which no more requests are taken: bounds a frame, and the wait for its
    /// sync.
    public static let unsyncedRecords = 50_000
}
