// The state of the store at the end of a world, in the auditor's words.

import KontorCore

/// The records at the end of one world.
struct FinalState {
    struct Account {
        var balance: Int64
        var held: Int64
        var reserved: Int64
        var deposited: Int64
        var withdrawn: Int64
        var captured: Int64
        var refunded: Int64
        var price: Int64
        var generation: UInt32 = 0
    }

    struct Order {
        var isPaid: Bool
        var isRemoved: Bool
        var isLocked: Bool
        var user: String
        var basket: Basket
        var total: Int64
        var incarnation: UInt64 = 0
    }

    /// A direct payment that was not cancelled.
    struct Payment {
        let user: String
        let order: String
        let incarnation: UInt64?
        let generation: UInt32
    }

    /// The accounts, by names like "item 3" and "user 7".
    private(set) var accounts: [String: Account] = [:]
    private(set) var orders: [String: Order] = [:]
    /// The paid orders that `batch_init` replaced, by id.
    private(set) var replaced: [String: [Order]] = [:]
    private(set) var payments: [Payment] = []
    /// Sagas, and holds that are neither captured nor released.
    private(set) var unfinished: [String] = []
    /// Markers: holds that are captured or released.
    private(set) var markers: [String] = []
    /// Markers of credits whose refund is over.
    private(set) var creditMarkers: [String] = []
    private(set) var refunds: [Refunded] = []

    /// What was put in and taken out as the audit trail tells it, by account.
    private(set) var putInByTrail: [String: Int64] = [:]
    private(set) var takenByTrail: [String: Int64] = [:]

    /// Where accounts and orders should be listed, and where they are, by names like those of the accounts.
    private(set) var places: [String: ListEntry] = [:]
    private(set) var entries: [String: [ListEntry]] = [:]

    mutating func add(_ key: RecordKey, _ record: Record) {
        if key.member == .head { places[key.group.description] = record.listEntry }
        if case .listed(let entry) = key.member { entries[key.group.description, default: []].append(entry) }
        switch (key.member, record) {
        case (.head, .account(let account)):
            accounts[key.group.description] = Account(
                balance: account.balance.raw, held: account.held.raw, reserved: account.reserved.raw,
                deposited: account.deposited.raw,
                withdrawn: account.withdrawn.raw, captured: account.captured.raw, refunded: account.refunded.raw,
                price: account.price.raw, generation: account.generation)
        case (.head, .order(let order)): orders[key.group.id.text] = Order(order)
        case (.receipt, .order(let order)): replaced[key.group.id.text, default: []].append(Order(order))
        case (.payment(let order), .payment(let payment)) where !payment.isCancelled:
            payments.append(
                Payment(
                    user: key.group.id.text, order: order.text, incarnation: payment.incarnation,
                    generation: payment.generation))
        case (.hold, .hold(let hold)) where hold.state == .held: unfinished.append("\(key.member.text) on \(key.group)")
        case (.hold, .hold): markers.append("\(key.member.text) on \(key.group)")
        case (.trail, .trail(let note)):
            let account = key.group.description
            if note.amount < 0 {
                takenByTrail[account, default: 0] -= note.amount
            } else {
                putInByTrail[account, default: 0] += note.amount
            }
        case (.due, .listed): unfinished.append("\(key.member.text) of \(key.group)")
        case (.saga, .saga): unfinished.append("saga of \(key.group)")
        case (.refund, .refund(let refund)):
            unfinished.append("\(key.member.text) of \(key.group)")
            refunds.append(Refunded(refund))
        case (.refunded, .refund(let refund)): refunds.append(Refunded(refund))
        case (.refund, .marker(let marker)):
            let text = "\(key.member.text) on \(key.group)"
            if marker.isForgotten { creditMarkers.append(text) } else { unfinished.append(text) }
        default: break
        }
    }

    /// Every paid order that there was.
    var paid: [Order] { orders.values.filter(\.isPaid) + replaced.values.flatMap { $0 } }
}

extension FinalState.Order {
    fileprivate init(_ order: Order) {
        self.init(
            isPaid: order.status == .paid, isRemoved: order.status == .removed,
            isLocked: order.status == .checkingOut || order.status == .reserved,
            user: order.user.text, basket: Basket(order.lines), total: order.total.raw, incarnation: order.incarnation)
    }
}
