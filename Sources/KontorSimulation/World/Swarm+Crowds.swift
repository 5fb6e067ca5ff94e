// Worlds in which everybody wants the same.

import KontorCore
import KontorService

extension Swarm {
    /// Makes goods and credit scarce, so that second copies are refused; what was missing comes while first copies
    /// still lie in the sockets of processes that stand still.
    mutating func makeRefusalsCommon(_ random: SeededRandom) {
        (items, users) = (1 + random.below(2), 1 + random.below(2))
        stock = random.pick([0, 3])
        credit = random.pick([200, 1_000])
        clients = 4 + random.below(6)
        thinking = random.pick([.milliseconds(20), .milliseconds(100)])
        keyedPercent = random.pick([0, 30])
        (killEvery, failoverEvery, cutOffEvery) = (nil, nil, nil)
        pauseEvery = random.within(.milliseconds(300)...(.milliseconds(1_500)))
        safety = .seconds(15)
        (baskets, basketLines) = (0, 0)
        let usual: [WishKind: Int] = [
            .checkout: 100, .place: 40, .createOrder: 20, .addItem: 40, .addStock: 20, .addCredit: 20, .takeStock: 20,
        ]
        weights = weights.map { ($0.kind, usual[$0.kind] ?? min($0.weight, 1)) }
    }

    /// Makes several processes replace the same records at once, each for a client who wants something else.
    mutating func makeBatchesMeet(_ random: SeededRandom) {
        items = Limits.batchInitSlice + 1 + random.below(100)
        clients = 3 + random.below(3)
        thinking = .milliseconds(1)
        safety = min(safety, .seconds(6))
        (baskets, basketLines) = (0, 0)
        weights = weights.map { ($0.kind, $0.kind == .initItems ? 40 : min($0.weight, 5)) }
    }

    /// Makes everybody pay directly for what others check out.
    mutating func makePayers(_ random: SeededRandom) {
        users = 1 + random.below(2)
        clients = 4 + random.below(8)
        credit = 10_000_000
        thinking = random.pick([.milliseconds(1), .milliseconds(10)])
        let usual: [WishKind: Int] = [
            .checkout: 60, .createOrder: 30, .addItem: 40, .payDirectly: 60, .cancelPayment: 40, .paymentStatus: 10,
            .explain: 10, .removeOrder: 5,
        ]
        weights = weights.map { ($0.kind, usual[$0.kind] ?? min($0.weight, 5)) }
    }

    /// Makes everybody want to give back the same few things, in parts and at once.
    mutating func makeRefunders(_ random: SeededRandom) {
        users = 1 + random.below(2)
        clients = 6 + random.below(8)
        (stock, credit) = (100_000, 10_000_000)
        thinking = random.pick([.milliseconds(1), .milliseconds(10)])
        var usual: [WishKind: Int] = [
            .checkout: 60, .createOrder: 15, .addItem: 90, .refund: 120, .listRefunds: 15, .explain: 5, .readOrder: 5,
        ]
        // Some of them give back what `batch_init` replaces.
        if random.happens(50) { (batchOrders, usual[.initOrders]) = (5, 20) }
        weights = weights.map { ($0.kind, usual[$0.kind] ?? min($0.weight, 5)) }
    }

    /// Makes everybody reserve the same few things, buy them, or forget them.
    mutating func makeReservers(_ random: SeededRandom) {
        clients = 6 + random.below(8)
        stock = random.pick([3, 10, 50])
        credit = random.pick([500, 10_000_000])
        thinking = random.pick([.milliseconds(1), .milliseconds(10), .milliseconds(200)])
        let usual: [WishKind: Int] = [
            .checkout: 60, .reserve: 60, .giveBack: 15, .createOrder: 30, .addItem: 40, .addStock: 10, .addCredit: 10,
            .takeStock: 5, .readItem: 5, .explain: 5, .removeOrder: 3, .payDirectly: 3,
        ]
        weights = weights.map { ($0.kind, usual[$0.kind] ?? min($0.weight, 2)) }
    }

    /// Makes everybody check out what is there in plenty, so that what begins although a store fills up needs more than
    /// its last room.
    mutating func makeFillingMatter(_ random: SeededRandom) {
        clients = 4 + random.below(4)
        (stock, credit) = (100_000, 10_000_000)
        thinking = .milliseconds(1)
        fillingEvery = .seconds(2)
        (killEvery, pauseEvery, failoverEvery, cutOffEvery, shardTroubleEvery) = (nil, nil, nil, nil, nil)
        let usual: [WishKind: Int] = [.checkout: 100, .place: 200, .createOrder: 40, .addItem: 60]
        weights = weights.map { ($0.kind, usual[$0.kind] ?? 0) }
    }

    /// Makes nothing go wrong but that the others cannot be reached, for longer than a process may be silent: nobody
    /// who drives a checkout dies of that.
    mutating func makeOutagesAlone(_ random: SeededRandom) {
        cutOffEvery = random.within(.seconds(1)...(.seconds(4)))
        cutOffMost = .seconds(6)
        safety = max(safety, .seconds(15))
        (killEvery, pauseEvery, failoverEvery, shardTroubleEvery, damageEvery) = (nil, nil, nil, nil, nil)
        (storeLatePercent, storeLossPercent, storeUnknownPercent, upgradeAfter) = (0, 0, 0, nil)
    }
}
