// The settings of a seed's world. Each seed draws its own subset of faults and its own rates (swarm testing: Groce et
// al., 2012): a world in which everything fails all the time never gets far enough to find anything.

import KontorCore
import KontorEmbedded

/// The settings of one world. Times are microseconds; "every" is the mean time between two faults, nil: never.
struct Swarm {
    var safety: Int64
    /// Whether the world outlives what finished checkouts leave behind.
    var isLong: Bool
    var clients: Int
    var items: Int
    var users: Int
    var stock: Int64
    var credit: Int64
    var batchOrders: Int
    var patience: [Int64]
    var thinking: Int64
    var keyedPercent: Double
    var weights: [(kind: WishKind, weight: Int)]

    var killEvery: Int64?
    /// How long before the end of the faults some of several processes are killed at once, as by a machine that dies.
    var lastKill: Int64?
    var powerEvery: Int64?
    var pauseEvery: Int64?
    var clockJumpEvery: Int64?
    /// The longest jump of a clock, milliseconds: within the skew that the shop allows for, or far beyond it.
    var clockJumpMost: Int64
    var syncFailureEvery: Int64?
    var diskFullEvery: Int64?
    var tableBusyEvery: Int64?
    var tableLockEvery: Int64?
    var listingFailureEvery: Int64?
    /// The full disks that are a quota, as a percentage of all.
    var quotaPercent: Double = 0
    /// The crashes at which the newest segment of the journal is lost, as a percentage of all.
    var newestLossPercent: Double = 0
    /// The longest time that a backup reads the table.
    var tableBusyMost: Int64
    var bitFlipPercent: Double
    var tableLogLossPercent: Double
    /// The kills that hit a write in its midst, as a percentage of all.
    var midstPercent: Double
    var slowSyncPercent: Double
    var requestLossPercent: Double
    var answerLossPercent: Double
    var lateAnswerPercent: Double
    var drift: Int64

    /// Processes over one store; 1: one on a machine of its own.
    var shops: Int
    /// Whether each process serves only one of orders, stock and payment.
    var isSplit: Bool
    var messageLossPercent: Double
    var messageDoublePercent: Double
    var messageLatePercent: Double
    var messageLateMost: Int64
    var storeLatePercent: Double
    var storeLossPercent: Double
    var storeUnknownPercent: Double
    var failoverEvery: Int64?
    var rememberedGroups: Int
    var storeExpires: Bool
    /// How often one of the services cannot be reached by the others, and for how long at most.
    var cutOffEvery: Int64?
    var cutOffMost: Int64
    var storeShards: Int
    /// How often a shard of the store gets into trouble, and for how long at most.
    var shardTroubleEvery: Int64?
    var shardTroubleMost: Int64
    var shardTroubles = SimulatedShard.Trouble.allCases
    /// How often records become unreadable.
    var damageEvery: Int64?
    /// When the store's format is raised, at the latest; nil: it is the newest one from the beginning.
    var upgradeAfter: Int64?

    /// The replies that one process waits for at a time.
    var pendingReplies = Limits.pendingReplies
    /// How often the store of one service fills up.
    var fillingEvery: Int64?
    /// How long a process takes for each message of another one.
    var commandMicroseconds: Int64 = 0
    /// The large baskets with which the world begins, and their lines.
    var baskets = 0
    var basketLines = 0

    /// Whether clients ask through a gateway, and how long a process may stand still with requests in its socket.
    var hasGateway = false
    var gatewayPauseMost: Int64 = 0
    /// Whether the audit trail tells of what clients put in and take out.
    var hasTrail = false
    /// Clients that read lists to their end.
    var browsers = 0
    /// Whether the shop is of an older release at first, without lists. It is upgraded while there are faults.
    var beginsOlder = false
    /// The price of items and of the lines of `batch_init`'s orders; 0: everything is free.
    var price: Int64
    /// The users that `batch_init`'s orders are for and that do not exist.
    var strangers: Int

    var options: EmbeddedOptions

    init(_ random: SeededRandom) {
        func sometimes(_ percent: Double, _ range: ClosedRange<Int64>) -> Int64? {
            random.happens(percent) ? random.within(range) : nil
        }
        func rate(_ percent: Double, upTo most: Double) -> Double {
            random.happens(percent) ? Double(random.within(1...100)) / 100 * most : 0
        }
        isLong = random.happens(4)
        safety = isLong ? random.within(.seconds(60)...(.seconds(180))) : random.within(.seconds(3)...(.seconds(15)))
        clients = 1 + random.below(8)
        items = 1 + random.below(random.happens(50) ? 3 : 12)
        users = 1 + random.below(random.happens(50) ? 2 : 8)
        stock = random.pick([3, 10, 50, 1_000, 100_000])
        credit = random.pick([500, 5_000, 50_000, 10_000_000])
        batchOrders = random.pick([0, 5, 20])
        patience = random.pick([[5_000], [5_000, 1_000], [300, 1_000, 5_000], [200]])
        thinking =
            isLong
            ? .milliseconds(500) : random.pick([.milliseconds(1), .milliseconds(10), .milliseconds(50), .milliseconds(200)])
        keyedPercent = random.pick([0, 30, 70, 100])
        weights = WishKind.allCases.map { ($0, $0.weight(random)) }

        killEvery = sometimes(60, .seconds(1)...(.seconds(8)))
        powerEvery = sometimes(40, .seconds(1)...(.seconds(8)))
        pauseEvery = sometimes(25, .seconds(1)...(.seconds(8)))
        clockJumpEvery = sometimes(25, .milliseconds(500)...(.seconds(8)))
        syncFailureEvery = sometimes(15, .seconds(2)...(.seconds(10)))
        diskFullEvery = sometimes(15, .seconds(2)...(.seconds(10)))
        tableBusyEvery = sometimes(15, .seconds(1)...(.seconds(10)))
        bitFlipPercent = rate(50, upTo: 100)
        tableLogLossPercent = rate(30, upTo: 80)
        midstPercent = rate(60, upTo: 100)
        slowSyncPercent = rate(40, upTo: 5)
        requestLossPercent = rate(30, upTo: 10)
        answerLossPercent = rate(40, upTo: 20)
        lateAnswerPercent = rate(30, upTo: 10)
        drift = random.happens(30) ? random.within(-1_000...1_000) : 0

        let several = 2 + random.below(3)
        isSplit = random.happens(50)
        shops = random.happens(60) ? 1 : isSplit ? several + 1 : several
        messageLossPercent = rate(50, upTo: 15)
        messageDoublePercent = rate(50, upTo: 20)
        messageLatePercent = rate(50, upTo: 10)
        messageLateMost = random.pick([.seconds(3), .seconds(100)])
        storeLatePercent = rate(40, upTo: 5)
        storeLossPercent = rate(30, upTo: 5)
        storeUnknownPercent = rate(50, upTo: 10)
        failoverEvery = sometimes(25, .seconds(1)...(.seconds(10)))
        rememberedGroups = random.pick([2, 10, 1_000])
        storeExpires = random.happens(50)
        tableBusyMost = random.pick([.seconds(2), .seconds(10)])
        // Two clocks that are off by so much, to either side, differ by as much as they may.
        clockJumpMost = Limits.clockSkewMilliseconds / 2
        cutOffEvery = sometimes(isLong ? 40 : 10, .seconds(1)...(.seconds(20)))
        cutOffMost = isLong ? .seconds(120) : .seconds(4)

        options = EmbeddedOptions()
        options.cacheRecords = random.pick([0, 10, 100, 10_000])
        options.segmentBytes = random.pick([8 << 10, 64 << 10, 256 << 10, 1 << 20])
        options.foldStartBytes = random.pick([1, 4 << 10, 64 << 10, 16 << 20])
        options.foldSliceBytes = random.pick([256 << 10, 16 << 20])
        options.checkpointBytes = random.pick([1 << 10, 64 << 10, 64 << 20])
        (price, strangers) = (100, 0)
        storeShards = 1
        shardTroubleMost = .seconds(2)
        if shops > 1, random.happens(15) { makeClocksWild(random) }
        if random.happens(15) { makeCrowd(random) }
        if random.happens(5) { makeTableForgetful(random) }
        hasTrail = random.happens(30)
        storeShards = random.pick([1, 3, 4])
        shardTroubleEvery = sometimes(30, .seconds(1)...(.seconds(10)))
        shardTroubleMost = random.pick([.seconds(1), .seconds(5), .seconds(60)])
        damageEvery = sometimes(15, .seconds(1)...(.seconds(8)))
        upgradeAfter = sometimes(30, .milliseconds(500)...(.seconds(10)))
        if shops > 1, random.happens(20) { commandMicroseconds = random.pick([100, 500, 2_000]) }
        if shops > 1, isSplit, random.happens(10) { makeOutagesLong(random) }
        if shops > 1, isSplit, random.happens(4) { makeOutagesAlone(random) }
        if random.happens(4) { makeBasketLarge(random) }
        if random.happens(15) { pendingReplies = basketLines > 0 ? 300 : 60 }
        if shops > 1, isSplit, basketLines == 0 { fillingEvery = sometimes(20, .seconds(1)...(.seconds(5))) }
        tableLockEvery = sometimes(10, .seconds(1)...(.seconds(10)))
        listingFailureEvery = sometimes(10, .seconds(1)...(.seconds(10)))
        quotaPercent = random.pick([0, 50, 100])
        newestLossPercent = rate(15, upTo: 30)
        if random.happens(5) { makeSyncsFail(random) }
        if random.happens(5) { makeRoomScarce(random) }
        if shops > 1, !hasWildClocks, random.happens(60) { makeGateway(random) }
        if random.happens(10) { price = 0 }
        if random.happens(20) { strangers = 1 + random.below(3) }
        if random.happens(15) { makePayers(random) }
        if hasGateway, !isLong, random.happens(15) { makeRefusalsCommon(random) }
        if fillingEvery != nil, random.happens(30) { makeFillingMatter(random) }
        if shops > 1, !isLong, random.happens(3) { makeBatchesMeet(random) }
        if random.happens(15) { makeRefunders(random) }
        if random.happens(15) { makeReservers(random) }
        // There a marker may go too early: the simulated store removes it at a moment that a wrong clock has named, and
        // Redis after a time.
        if hasWildClocks, storeExpires { weights = weights.map { ($0.kind, $0.kind == .refund ? 0 : $0.weight) } }
        if random.happens(60) { browsers = 1 + random.below(2) }
        beginsOlder = shops == 1 && random.happens(20)
        if shops > 1, killEvery != nil, random.happens(50) { lastKill = random.within(0...(.seconds(1))) }
    }

    /// Cuts a service off for so long that everything that can wait for it does.
    private mutating func makeOutagesLong(_ random: SeededRandom) {
        cutOffEvery = random.within(.seconds(1)...(.seconds(5)))
        cutOffMost = .seconds(60)
        safety = max(safety, .seconds(40))
        thinking = max(thinking, .milliseconds(50))
    }

    /// Puts baskets of many lines into the world, which are checked out again and again, sometimes over a store that
    /// hangs for so long that their steps heap up.
    private mutating func makeBasketLarge(_ random: SeededRandom) {
        basketLines = Int(random.within(201...Int64(Limits.orderLines)))
        baskets = 1
        items = basketLines
        stock = max(stock, 50)
        credit = 10_000_000
        guard shops > 1, random.happens(50) else { return }
        (baskets, clients) = (8, max(clients, 6))
        (shardTroubleEvery, shardTroubleMost, shardTroubles) = (.seconds(2), .seconds(30), [.hung])
        (failoverEvery, killEvery) = (nil, nil)
        safety = max(safety, .seconds(30))
        thinking = .milliseconds(200)
        weights = weights.map { ($0.kind, $0.kind == .checkout ? 120 : min($0.weight, 10)) }
    }

    /// Puts a gateway in front of the replicas, some of which stand still for long with requests in their sockets.
    private mutating func makeGateway(_ random: SeededRandom) {
        hasGateway = true
        pauseEvery = pauseEvery ?? (random.happens(60) ? random.within(.seconds(1)...(.seconds(6))) : nil)
        gatewayPauseMost = .seconds(12)
        if random.happens(5) {
            // They go on when the keys and tombstones of that time are gone.
            isLong = true
            safety = .seconds(260)
            thinking = .milliseconds(2_000)
            gatewayPauseMost = .seconds(230)
            pauseEvery = .seconds(20)
            storeExpires = true
            clients = min(clients, 4)
        }
        // `batch_init` of several slices, at several replicas, by clients who give up early.
        if random.happens(4) {
            items = 2 * Limits.batchInitSlice + 1 + random.below(100)
            weights = weights.map { ($0.kind, $0.kind == .initItems ? 20 : $0.weight) }
            clients = min(clients, 4)
            safety = min(safety, .seconds(6))
            isLong = false
        }
    }

    /// Makes clocks wrong, so that copies of messages come after their saga is over and its marker gone.
    private mutating func makeClocksWild(_ random: SeededRandom) {
        clockJumpMost = 200_000
        clockJumpEvery = random.within(.milliseconds(500)...(.seconds(8)))
        messageDoublePercent = random.pick([20, 60])
        messageLatePercent = random.pick([5, 40])
        messageLateMost = random.pick([.seconds(3), .seconds(30)])
    }

    /// Makes everybody want the same few things, of which there are always some, and never many.
    private mutating func makeCrowd(_ random: SeededRandom) {
        items = 1 + random.below(3)
        users = 1 + random.below(4)
        stock = random.pick([3, 10])
        credit = random.pick([2_000, 10_000_000])
        clients = 6 + random.below(10)
        thinking = random.pick([.milliseconds(1), .milliseconds(10)])
        patience = random.pick([[5_000], [5_000, 1_000]])
        if shops == 1, random.happens(60) {
            shops = (isSplit ? 3 : 2) + random.below(3)
        } else if shops == 1 {
            // Each step waits for the table, so that checkouts meet, and crashes find them open.
            options.cacheRecords = 0
            options.foldStartBytes = 1
        }
        // A slow store would keep clients apart.
        storeLatePercent = random.pick([0, 1])
        storeLossPercent = 0
        storeUnknownPercent = min(storeUnknownPercent, 1)
        (requestLossPercent, answerLossPercent, lateAnswerPercent) = (0, 0, 0)
        messageLossPercent = min(messageLossPercent, 5)
        (failoverEvery, cutOffEvery) = (nil, nil)
        if random.happens(70) { (killEvery, pauseEvery) = (nil, nil) }
        safety = min(safety, .seconds(8))
        isLong = false
        let usual: [WishKind: Int] = [
            .checkout: 100, .place: 40, .createOrder: 60, .addItem: 60, .addStock: 40, .addCredit: 20,
        ]
        weights = weights.map { ($0.kind, usual[$0.kind] ?? min($0.weight, 2)) }
    }

    /// Makes the table lose its log: a reader holds checkpoints up, and then the power goes. The journal must stay
    /// until the table has its changes for sure.
    private mutating func makeTableForgetful(_ random: SeededRandom) {
        tableBusyEvery = random.within(.milliseconds(200)...(.seconds(2)))
        tableBusyMost = .seconds(3)
        powerEvery = .seconds(8)
        tableLogLossPercent = 80
        bitFlipPercent = 0
        options.segmentBytes = 8 << 10
        options.foldStartBytes = 1
        options.checkpointBytes = random.pick([1 << 10, 16 << 10])
    }

    /// Whether no process can seem silent to another one, so that none may take a checkout over.
    var leavesProcessesAlone: Bool {
        shops > 1 && killEvery == nil && pauseEvery == nil && failoverEvery == nil && storeLatePercent == 0
            && storeLossPercent == 0 && storeUnknownPercent == 0 && shardTroubleEvery == nil && damageEvery == nil
            && upgradeAfter == nil
    }

    /// Makes syncs fail, and the power fail soon after that: what was not written is read back until then.
    private mutating func makeSyncsFail(_ random: SeededRandom) {
        syncFailureEvery = random.within(.milliseconds(500)...(.seconds(2)))
        powerEvery = random.within(.seconds(1)...(.seconds(3)))
        bitFlipPercent = 0
        guard random.happens(50) else { return }
        // Then a restart may find no room, and reads a frame that only the page cache has.
        diskFullEvery = random.within(.milliseconds(500)...(.seconds(2)))
        options.segmentBytes = 8 << 10
    }

    /// Makes the disk full again and again while segments follow each other soon, so that there is none ahead, and
    /// kills the process in the midst of its writes meanwhile.
    private mutating func makeRoomScarce(_ random: SeededRandom) {
        diskFullEvery = random.within(.milliseconds(500)...(.seconds(2)))
        killEvery = random.within(.milliseconds(500)...(.seconds(2)))
        // What a write has left in memory is lost if the power fails then.
        midstPercent = 70
        powerEvery = random.within(.milliseconds(500)...(.seconds(2)))
        quotaPercent = 50
        options.segmentBytes = 8 << 10
    }

    var hasWildClocks: Bool { clockJumpMost > Limits.clockSkewMilliseconds / 2 }
}

/// The kinds of wishes.
enum WishKind: CaseIterable {
    case createItem, createUser, createOrder, place, addStock, takeStock, addCredit, payDirectly, cancelPayment, paymentStatus
    case addItem, removeItem, removeOrder, checkout, reserve, giveBack, readItem, readUser, readOrder, explain, refund
    case listRefunds
    case initItems, initUsers, initOrders

    /// How often clients want it in this world, relative to the others; sometimes never.
    fileprivate func weight(_ random: SeededRandom) -> Int {
        let usual: Int
        switch self {
        case .checkout: return 20 + random.below(100)
        case .createOrder, .addItem: usual = 60
        case .readItem, .readUser, .readOrder: usual = 15
        case .addStock, .addCredit: usual = 15
        case .takeStock, .payDirectly, .cancelPayment: usual = 10
        case .paymentStatus, .explain, .removeItem: usual = 5
        case .refund: usual = 25
        case .place: usual = 20
        case .reserve: usual = 12
        case .giveBack: usual = 4
        case .listRefunds: usual = 4
        case .removeOrder: usual = 2
        case .createItem, .createUser: usual = 2
        case .initItems, .initUsers, .initOrders: return random.happens(30) ? 1 : 0
        }
        return random.happens(80) ? 1 + random.below(2 * usual) : 0
    }
}
