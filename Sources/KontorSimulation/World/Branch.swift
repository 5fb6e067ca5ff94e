// What a run must have seen at least once to prove anything: each kind of fault, and each rare path through the code.

/// Something that happens in simulated worlds.
public enum Branch: String, CaseIterable, Sendable {
    // Faults.
    case processKilled = "process killed"
    case killedInTheMidstOfAWrite = "killed in the midst of a write"
    case killedInTheMidstOfAStart = "killed in the midst of a start"
    case powerLost = "power lost"
    case tornTailCut = "torn tail cut"
    case syncFailed = "sync failed"
    case syncForgotten = "power lost after a failed sync and a restart"
    case syncForgottenWithoutRoom = "power lost after a failed sync and a start without room"
    case listingFailed = "listing failed"
    case newestSegmentLost = "newest segment lost"
    case newestSegmentMissed = "start missed the newest segment"
    case roomKept = "failed reservation kept room"
    case quotaReached = "quota reached"
    case startedWithoutRoom = "started without room for a segment"
    case tableLogFull = "no room for the table's log"
    case tableLocked = "table locked by another process"
    case bitFlipped = "bit flipped in the journal"
    case damageRefused = "start refused damage"
    case tableLogLost = "table's log lost"
    case tableBusy = "table busy"
    case diskFull = "disk full"
    case diskSlow = "sync slow"
    case processPaused = "process paused"
    case clockJumped = "clock jumped"
    case clockFarOff = "clock jumped by minutes"
    case requestLost = "request lost"
    case answerLost = "answer lost"
    case answerLate = "answer behind its deadline"
    case serviceCutOff = "service cut off from the others"
    case serviceAwayForLong = "service cut off for more than 20 s"
    case processBehind = "more than 100 messages waited for a process"
    case messageLost = "message of a saga lost"
    case messageDoubled = "message of a saga doubled"
    case messageLate = "message of a saga late"
    case storeFilling = "store of one service filled up"
    case storeLate = "store late"
    case storeUnreachable = "store unreachable"
    case commitRefused = "commit refused"
    case commitUnknown = "commit unknown"
    case storeFailedOver = "store failed over"
    case commitsLostInFailover = "commits lost in a failover"
    case markerExpired = "marker removed by the store"
    case shardAway = "shard away"
    case shardHung = "shard hung"
    case replicaAway = "replica of a shard away"
    case shardFull = "memory of a shard full"
    case shardRefuses = "shard refuses commands"
    case slotsMove = "slots of a shard move"
    case shardRefused = "command met a shard in trouble"
    case unconfirmed = "read or commit not confirmed by the replica"
    case recordsUnreadable = "records unreadable"
    case unreadableMet = "unreadable record met"
    case storeUpgraded = "store's format raised"
    case releaseUpgraded = "upgraded from a release without lists"

    // What clients met.
    case checkoutPaid = "checkout paid"
    case placedOrderPaid = "order placed and paid in one request"
    case placedOrderNotPaid = "order placed, and not paid"
    case outOfStock = "refused: out of stock"
    case outOfCredit = "refused: out of credit"
    case contendedRefusal = "refused: contended"
    case withdrawalRefused = "withdrawal refused"
    case noRoom = "refused: no room"
    case keyReplayed = "key replayed"
    case keyInUse = "key in use"
    case toldUnknown = "told that nobody knows"
    case checkoutJoined = "checkouts of one order raced"
    case batchInitRepeated = "batch_init over existing data"
    case batchInitRefused = "batch_init refused: checkout open"
    case batchInitLeased = "batch_init refused: another process does one"
    case gatewayRepeated = "gateway sent a second copy"
    case copyRefused = "second copy refused, with a tombstone"
    case copyCameLate = "first copy met a tombstone, or came too late"
    case trailKept = "deposits and withdrawals told by the audit trail"
    case paymentCancelled = "direct payment cancelled"
    case refusedAsPaidDirectly = "checkout refused: paid directly"
    case refusedAsPaid = "direct payment or its cancellation refused: paid by a checkout"
    case orderOfAnotherUser = "direct payment refused: another user's order"
    case userUnknown = "checkout refused: no such user"
    case refundFinished = "refund finished"
    case refundOfPart = "part of an order refunded"
    case refundRefused = "refund refused: more than is left"
    case refusedAsRefunded = "checkout refused: refunded"
    case refusedAsReserved = "refused: reserved for others"
    case orderIsReserved = "change of a reserved order refused"
    case listedWhileChanging = "list read to its end while orders came and went"
    case listGoneOn = "list went on behind its first page"
    case listRefused = "page of a list refused"

    // Rare paths through the services.
    case sagaResumed = "saga resumed after a crash, or taken over"
    case orphanSettled = "orphaned hold settled"
    case storeConflict = "commit met a conflict"
    case recoveryRace = "two processes drove one checkout"
    case decisionRefused = "decision met that of another process"
    case troubleTold = "trouble of the store told"
    case zombieRefused = "decision of a zombie refused"
    case unknownLanded = "unknown commit landed"
    case unknownFenced = "unknown commit came too late"
    case listsCompleted = "lists completed after an upgrade"
    case instanceFollowed = "another instance followed when the store was upgraded"
    case paymentMetCheckout = "direct payment met a checkout of its order"
    case paymentUndone = "lock of a direct payment undone"
    case refundsRaced = "several refunds of one order were open"
    case refundTakenOver = "refund taken over by another process"
    case untimelyRefund = "credit of a refund refused as untimely"
    case reserved = "order reserved"
    case reservationExtended = "reservation extended"
    case reservationBought = "reserved order paid"
    case reservationKept = "checkout of a reserved order refused, and the reservation stood"
    case reservationGivenBack = "reservation given back"
    case reservationExpired = "reservation was over"
    case emptyRollback = "released before it was held"
    case lateHoldRefused = "hold refused because it came late"
    case contendedCommand = "contended hold or withdrawal"
    case retriedInOrder = "retried in lock order"
    case waitGranted = "waited, and was granted"
    case messageResent = "message of a saga resent"
    case copyDropped = "step of a saga came again while it waited"
    case largeBasketPaid = "basket of more than 200 lines paid"
    case recordReadFromTable = "record read from the table"
    case sliceFolded = "slice folded"
    case journalFileRemoved = "journal file removed"
}

/// The counts of all branches.
public struct Coverage: Sendable {
    private var counts = [Int](repeating: 0, count: Branch.allCases.count)
    /// The number of faults that can make an account seem silent long before the deadline: processes that sleep or die.
    /// Lost messages and a late store only cost time, and clocks are judged otherwise.
    private(set) var disturbances = 0
    private static let index = Dictionary(uniqueKeysWithValues: Branch.allCases.enumerated().map { ($1, $0) })
    private static let faultKinds = Branch.allCases.prefix { $0 != .checkoutPaid }
    private static let disturbing = Set(
        faultKinds.indices.filter {
            [
                .processKilled, .killedInTheMidstOfAWrite, .killedInTheMidstOfAStart, .powerLost, .processPaused,
                .storeFailedOver, .shardAway, .shardHung, .replicaAway, .shardFull, .shardRefuses, .slotsMove, .shardRefused,
                .unconfirmed, .recordsUnreadable, .unreadableMet, .storeUpgraded,
            ]
            .contains(faultKinds[$0])
        })

    public init() {}

    /// How often a branch happened.
    public subscript(branch: Branch) -> Int {
        get { counts[Self.index[branch, default: 0]] }
        set {
            let place = Self.index[branch, default: 0]
            if Self.disturbing.contains(place) { disturbances += newValue - counts[place] }
            counts[place] = newValue
        }
    }

    /// The branches that never happened.
    public var missing: [Branch] { Branch.allCases.filter { self[$0] == 0 } }

    /// Adds the counts of another world.
    public mutating func add(_ other: Coverage) {
        for index in counts.indices { counts[index] += other.counts[index] }
        disturbances += other.disturbances
    }

    /// The number of injected faults.
    public var faults: Int {
        Self.faultKinds.reduce(0) { $0 + self[$1] }
    }
}
