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
    /// Largest total of what was captured, and of what refunds gave back: who buys, is refunded and buys again adds to
    /// both, and not to his balance. No refund begins once a lifetime total was captured, and what has begun has room.
    public static let refundedTotal = 2 * lifetimeTotal + 100_000 * balance
    /// Most digits behind the point that are read (and rounded): a Python `float` prints at most 17.
    public static let moneyFractionDigits = 40
    /// Most lines of an order: one checkout holds a lock per line, and one record carries them all.
    public static let orderLines = 256
    /// Refunds of one order: one for each of its lines, or nearly. Its list is read at once.
    public static let orderRefunds = 250
    /// Refunds that have credited one account and are not over: far more than all processes may drive.
    public static let accountRefunds = Int(UInt32.max >> 1)
    /// Bytes of the reason of a refund; the rest is cut off. It is as long as a text of the audit trail.
    public static let refundReasonBytes = trailTextBytes
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
    /// How long an explanation waits for each of its two questions to other services. It says that what does not answer
    /// is unknown, and comes before the gateway gives the read up.
    public static let explanationMilliseconds = deadlineMilliseconds / 5
    /// When an unanswered message of a saga is sent again: many round trips, yet a tenth of a deadline.
    public static let resendMilliseconds = deadlineMilliseconds / 10
    /// The longest pause between two copies of a message, without its jitter: pauses double up to here. A service that
    /// was away is asked soon after it is back, and one that has too much to do is not asked much more.
    public static let longestResendMilliseconds = 4 * resendMilliseconds
    /// How often a coordinator looks at each saga that it drives, for its deadline and for messages to send again: a
    /// fifth of the margin of a deadline.
    public static let sagaLookMilliseconds = deadlineMarginMilliseconds / 5
    /// How often deadlines and resends are checked: fine enough for both.
    public static let tickMilliseconds: Int64 = 25

    /// The latest moment that is read from a record or message, milliseconds since 1970: the end of the year 9999, as
    /// far as dates are written. Any duration of these limits can be added to it.
    public static let latestTime: Int64 = 253_402_300_799_999
    /// By how much the clocks of any two processes may differ: far more than clocks that are synchronised. If they
    /// differ by more, a late message may be accepted: that costs time, never stock.
    public static let clockSkewMilliseconds: Int64 = 60_000
    /// The difference of two clocks from which on operators are warned: clocks that are synchronised stay far below it,
    /// and there is time to act before the skew that is allowed for.
    public static let worryingClockSkewMilliseconds = clockSkewMilliseconds / 6
    /// How long the marker of a hold is kept behind the hold's expiry. A hold is taken until the skew has passed behind
    /// its expiry, for a clock that is ahead, and by a clock that may be behind by the skew.
    public static let markerMilliseconds = 2 * clockSkewMilliseconds
    /// How long a refund's credit may be on its way: longer than the longest pause between two copies, with its jitter.
    /// A copy that was refused as expired is sent again.
    public static let creditMilliseconds = deadlineMilliseconds
    /// How long after a gateway sent a write it may still be decided, by the clock of whoever decides. The gateway's
    /// two attempts take less than twice the longest deadline, and the clocks may differ. Later the write is refused.
    public static let lateWriteMilliseconds = 2 * longestDeadlineMilliseconds + clockSkewMilliseconds
    /// How long a `batch_init` may go on without renewing its lease: many slices of it. When its process dies, others
    /// wait for this long, and for the skew of the clocks.
    public static let batchInitLeaseMilliseconds: Int64 = 15_000
    /// How often one of several processes looks for sagas that nobody drives: a fifth of the time in which they must
    /// have ended.
    public static let takeoverScanMilliseconds = deadlineMilliseconds / 5
    /// Partitions that such a scan reads at a time: it takes 32 round trips instead of 512, and is no burst.
    public static let partitionsAtOnce = 16
    /// The age at which a saga that stands still is taken over: three times what a lost message costs a coordinator
    /// that lives.
    public static let takeoverAgeMilliseconds = 3 * resendMilliseconds
    /// How long an undecided saga whose process is gone may still wait for amounts that others hold: nobody waits for
    /// it any more, and it must end soon.
    public static let abandonedSagaMilliseconds = takeoverAgeMilliseconds
    /// How often a process that drives sagas shows that it lives, and how often the others look: a beat may be lost,
    /// and still none of its sagas is taken over.
    public static let heartbeatMilliseconds = takeoverAgeMilliseconds / 3
    /// How long a process whose heartbeat cannot be read counts as living: its part of the store may be away for both.
    public static let unreadableHeartbeatMilliseconds: Int64 = 10_000
    /// How long a process is watched after a saga of it was seen last.
    public static let watchedProcessMilliseconds: Int64 = 60_000
    /// Processes that are watched: far more than there are, with those that have ended lately.
    public static let watchedProcesses = 1_000
    /// Sagas of which a scan learns which processes there are.
    public static let sampledSagas = 16
    /// A random time up to this is added, so that not all processes take over the same saga.
    public static let takeoverJitterMilliseconds: Int64 = 500
    /// How often one of several processes scans for holds and markers of sagas that are over: these are in nobody's
    /// way.
    public static let orphanScanMilliseconds: Int64 = 10_000

    /// How long a saga's hold waits for a contended amount after it was last asked for: a saga that still wants it has
    /// asked three times by then. The clock of the sender does not matter.
    public static let waiterLeaseMilliseconds = 4 * longestResendMilliseconds
    /// How often waiters are decided again: another process can free an amount without waking them.
    public static let waiterRetryMilliseconds: Int64 = 100

    /// The longest time for which an order is reserved at a time, seconds: what the HTTP contract promises.
    public static let reservationSeconds: Int64 = 86_400
    /// How often a shop that is alone looks for reservations that are over: they are given back within a second.
    public static let reservationScanMilliseconds: Int64 = 250
    /// How often one of several processes looks for them: they are given back within five seconds. A look asks all
    /// partitions.
    public static let sharedReservationScanMilliseconds: Int64 = 2_000
    /// Reservations that are over and are read at a time, and given back at a time.
    public static let reservationsAtOnce = 200
    /// Items of reserved orders that an embedded shop keeps, and with them what checkouts hold: each is some 500 bytes
    /// of memory for as long as it stands, and a start looks at all of them. Over Redis its memory is the bound.
    public static let reservedItems = openLegs
    /// How long a look waits for the stores' answers. Then the next look may begin. Most shards answer within
    /// milliseconds; one that is away may not answer for hours.
    public static let reservationLookMilliseconds: Int64 = 1_000
    /// Ends of reservations that wait for their store's answer: a few pages of those whose shard is away.
    public static let reservationsAsked = 5 * reservationsAtOnce
    /// Ends of reservations that run at a time, and their legs: half of what checkouts may have, besides these, so that
    /// neither holds up the other while a ledger is away.
    public static let openEnds = openSagas / 2
    public static let openEndLegs = openLegs / 2
    /// What is said at most to who wants what is reserved: after so many seconds it is worth another try, since others
    /// may have given back theirs.
    public static let reservationRetrySeconds: Int64 = 60

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
    /// Replies that one link waits for: one for each leg that a process drives, and one for each request that reads.
    /// Beyond it a message is not sent; its saga tries again.
    public static let pendingReplies = drivenLegs + drivenRefundLegs + requestsInFlight + readsReserve
    /// How long a link waits for a reply after the last copy of its request: three copies later nobody wants it.
    public static let pendingReplyMilliseconds = 4 * longestResendMilliseconds
    /// Messages of one process that wait for the barrier before they leave: those of all legs that it drives. Beyond it
    /// messages are dropped, and are sent again.
    public static let leavingMessages = drivenLegs + drivenRefundLegs

    // MARK: What is remembered

    /// How long a key is kept, unless configured: a client that repeats a request after a day begins a new one.
    public static let keyRetentionMilliseconds: Int64 = 24 * 3_600_000
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

    // MARK: Audits

    /// Groups of accounts of which an audit knows sums: 64 KiB, and in a large shop some hundred accounts each.
    public static let auditBuckets = 4_096
    /// Accounts that an audit adds up one by one, in order to name those that are wrong: some 20 MB.
    public static let auditTallies = 100_000
    /// What an audit names of what is wrong. A person reads some; how many there are counts then.
    public static let auditCulprits = 1_000

    // MARK: Work in progress

    /// Commands that one engine decides in one batch: the first one's answer waits for the last one.
    public static let engineBatchCommands = 512
    /// Commands that wait in one ledger's mailbox, from which on a copy of one that waits is dropped: looking for
    /// copies costs time, and within a few batches they do no harm.
    public static let mailboxCommandsWithCopies = 2 * engineBatchCommands
    /// Commands that wait in one ledger's mailbox. Beyond it the ledger drops messages of sagas, which are sent again.
    /// It has room for one of each leg of all sagas that new work may have begun.
    public static let mailboxCommands = openLegs + openRefundLegs
    /// Checkouts that have begun and not finished: bounds the number of their holds, and the time of a recovery.
    public static let openSagas = 20_000
    /// Legs of all open checkouts of one process: the sagas above with ten legs each, or some 780 of the largest. No
    /// checkout begins beyond it; those that begin at once can pass it by one basket each.
    public static let openLegs = 10 * openSagas
    /// Checkouts that one process drives, with those that it takes over: its own, and as many of a process that died.
    /// It takes over the others when some of these have ended.
    public static let drivenSagas = 2 * openSagas
    /// The legs of these checkouts.
    public static let drivenLegs = 2 * openLegs
    /// Refunds that have begun and not finished: a tenth of the checkouts, since what is given back was sold before.
    public static let openRefunds = openSagas / 10
    /// Legs of all open refunds of one process. No refund begins beyond it; those that begin at once can pass it by one
    /// basket each.
    public static let openRefundLegs = openLegs / 10
    /// Refunds that one process drives, with those that it takes over: as for checkouts.
    public static let drivenRefunds = 2 * openRefunds
    /// The legs of these refunds.
    public static let drivenRefundLegs = 2 * openRefundLegs
    /// Sagas that one of several processes watches in order to take them over, refunds among them: those of five
    /// processes. It watches the others when some of these have ended.
    public static let watchedSagas = 5 * (openSagas + openRefunds)
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
    /// Requests whose callers were told "unknown" at their deadline, or have hung up, and that still run: with a store
    /// that does not answer, those of many seconds. Beyond it no request is taken.
    public static let unfinishedRequests = 8 * requestsInFlight
    /// Requests that one turn of the shop takes: its answers wait for all of them, and then for one sync.
    public static let requestsPerTurn = 16
    /// How long entries of the audit trail are kept unless it is set otherwise, milliseconds: 400 days, so that a year
    /// can be looked at when it is over.
    public static let trailMilliseconds: Int64 = 400 * 86_400_000
    /// Bytes of one text in an entry of the audit trail; the rest is cut off. Names of tokens have at most 64.
    public static let trailTextBytes = 256
    /// Arguments of an operation in an entry of the audit trail.
    public static let trailArguments = 8
    /// Entries in one page of the audit trail.
    public static let trailPage = 200
    /// Accounts or orders in one page of a list: what the HTTP contract promises.
    public static let listPage = 200
    /// Pages of an index that are read for one page of a list. Those that show nothing are behind: the page is short
    /// then, and a client goes on from there.
    public static let listReads = 10
    /// Lines of the orders of one page, from which on it is short: some 500 KB in the answer.
    public static let listLines = 4_000
    /// Pages of lists that are read at a time. Others wait their turn: each takes up to 2 MB of memory, and many reads.
    public static let listsAtOnce = 8
    /// Records committed and not durable, beyond which no more requests are taken: bounds a frame, and the wait for its
    /// sync.
    public static let unsyncedRecords = 50_000
}
