// Every bound of Kontor, with its unit and its reason. Past a bound the caller gets a clear error and nothing is lost
// (P7).

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

    /// How long a request may take when the client does not say.
    public static let deadlineMilliseconds: Int64 = 5_000
    /// How long a request may take at most: no caller can pin a lock for longer. Much follows from it: in the code, and
    /// in the gateway's, compose's and Kubernetes' times, which `scripts/derive-times` reads from here. It stays a
    /// plain number for that script.
    public static let longestDeadlineMilliseconds: Int64 = 30_000
    /// A saga gives up waiting this long before its caller's deadline, so that the refusal still arrives.
    public static let deadlineMarginMilliseconds: Int64 = 250
    /// When an unanswered message of a saga is sent again: many round trips, yet a tenth of a deadline.
    public static let resendMilliseconds = deadlineMilliseconds / 10
    /// How often deadlines and resends are looked at: fine enough for both.
    public static let tickMilliseconds: Int64 = 25

    /// By how much the clocks of any two processes may differ: far more than any that is kept in time. Where they
    /// differ by more, a message may come late and be taken: that costs time, and never stock.
    public static let clockSkewMilliseconds: Int64 = 60_000
    /// How often a process of several looks for sagas that nobody drives: a fifth of the time in which they must have
    /// ended.
    public static let takeoverScanMilliseconds = deadlineMilliseconds / 5
    /// Partitions that such a look asks for at a time: it takes 32 round trips and not 512, and is no burst.
    public static let partitionsAtOnce = 16
    /// A saga that stood still for so long is taken over: three times what a lost message costs a coordinator that
    /// lives.
    public static let takeoverAgeMilliseconds = 3 * resendMilliseconds
    /// Up to this is added by chance, so that not all processes take the same saga over.
    public static let takeoverJitterMilliseconds: Int64 = 500
    /// How often a process of several begins to look for holds and markers of sagas that are over: they are in nobody's
    /// way.
    public static let orphanScanMilliseconds: Int64 = 10_000

    /// How often waiters look again on their own: only another process can free an amount without waking them.
    public static let waiterRetryMilliseconds: Int64 = 100

    // MARK: What processes say to each other

    /// Messages in one frame: as many as one engine decides in a batch, several times over.
    public static let frameItems = 8 * engineBatchCommands
    /// A frame is closed, and another begun, once it is so large: some 2,000 holds, encoded and read within a
    /// millisecond.
    public static let fullFrameBytes = 256 << 10
    /// The largest message: an order of 256 lines with its saga and history, of about 100 KiB, twice over.
    public static let itemBytes = 256 << 10
    /// The largest frame that is read: a nearly full one, and the largest message behind.
    public static let frameBytes = fullFrameBytes + itemBytes + 64
    /// Replies that one link waits for: several messages of all open sagas. Past it the oldest are forgotten.
    public static let pendingReplies = 131_072

    // MARK: What is remembered

    /// How long a key is kept, unless configured: a client that repeats after a day starts anew.
    public static let keyRetentionMilliseconds: Int64 = 24 * 3_600_000
    /// How long a key of the gateway is kept: two requests that both take as long as they may, and what the gateway
    /// then asks once more, end within three times the longest deadline. The fourth is for clocks that differ.
    public static let gatewayKeyRetentionMilliseconds = 4 * longestDeadlineMilliseconds
    /// Groups that a process remembers of a store that it shares: all accounts that are hot, and all open orders; some
    /// 30 MB.
    public static let rememberedGroups = 50_000
    /// Records that it remembers of one of them, before it begins anew with that: all open holds on a hot item.
    public static let rememberedMembers = 1_000
    /// Keys kept at a time, unless configured: a day of a hundred keyed writes a second, about 3 GB on disk. At the
    /// bound new keyed writes are refused, and none is dropped early.
    public static let keptKeys = 10_000_000
    /// Attempts of an order that its history has: enough to see what keeps going wrong; the oldest go first.
    public static let rememberedAttempts = 8
    /// What attempts before the latest may weigh in an order's record: eight of usual size, and one or none of 256
    /// lines.
    static let historyBytes = 4 << 10

    // MARK: What operators are told

    /// How often gauges are set: no scraper asks more often.
    public static let gaugeMilliseconds: Int64 = 1_000
    /// A period of refusals is over when this long nothing was refused: one that comes and goes is told once.
    public static let refusalQuietMilliseconds: Int64 = 5_000
    /// While refusals go on, the log repeats it this often.
    public static let refusalReminderMilliseconds: Int64 = 60_000

    // MARK: Work in progress

    /// Commands that one engine decides in one batch: bounds the latency of the first by the work of the last.
    public static let engineBatchCommands = 512
    /// Commands that wait in one ledger's mailbox, past which it drops messages of sagas: they are sent again. Several
    /// for each leg of all open sagas of usual size, so that only repetitions to a store that hangs get there.
    public static let mailboxCommands = 10 * openSagas
    /// Checkouts that have begun and not finished: bounds holds, and the time that recovery takes.
    public static let openSagas = 20_000
    /// Sagas that a process of several watches, to take them over if they stand still: those of five processes. The
    /// others are seen when these have ended.
    public static let watchedSagas = 5 * openSagas
    /// Writes of unknown outcome that are remembered of one group while its store does not say: 25 s of them. With an
    /// older one nobody can tell any more what happened, and who asked is told so.
    public static let rememberedFences = 1_000
    /// Callers that wait for contended amounts in one ledger: they cost memory until their deadline.
    public static let waiters = 50_000
    /// Records of one `batch_init` slice: other requests are served between two slices.
    public static let batchInitSlice = 500
    /// `batch_init`s that run at a time: each writes as fast as the disk takes it.
    public static let batchInitsAtOnce = 1
    /// Requests accepted and not answered: about 100 ms of work at full speed. Whoever comes later is told at once
    /// (429): a longer queue would not do more, only keep everybody waiting. Each connection has one, so it must be
    /// less than the connections of a listener, or those would be the bound.
    public static let requestsInFlight = 2_000
    /// As many reads more: they find room while checkouts are refused.
    public static let readsReserve = 500
    /// Requests that one turn of the shop takes: its answers wait for all of them, and then for one sync.
    public static let requestsPerTurn = 16
    /// Records committed and not durable, past which no more requests are taken: bounds a frame, and the wait for its
    /// sync.
    public static let unsyncedRecords = 50_000
}
