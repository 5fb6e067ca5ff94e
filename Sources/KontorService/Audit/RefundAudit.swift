// What the audit knows of refunds: those that are open, and the markers of their credits.

import KontorCore

/// The open refunds of a cut, the markers of credits, and the accounts that wait for them.
struct RefundAudit {
    private var open: [RefundID: Refund] = [:]
    /// By account and refund.
    private var markers: [RecordKey: CreditMarker] = [:]
    /// How many refunds of an account are not over, as it says and as its markers say.
    private var counts: [GroupKey: (said: Int, found: Int)] = [:]

    mutating func add(_ refund: Refund) { open[refund.id] = refund }

    mutating func add(_ key: RecordKey, _ marker: CreditMarker) {
        markers[key] = marker
        if !marker.isForgotten { counts[key.group, default: (0, 0)].found += 1 }
    }

    mutating func add(_ account: Account, _ group: GroupKey) {
        if account.openRefunds > 0 { counts[group, default: (0, 0)].said += Int(account.openRefunds) }
    }

    /// What open refunds have not credited yet.
    var uncredited: [Leg] {
        open.values.flatMap { refund in
            refund.legs.filter { markers[RecordKey($0.account, .refund(refund.id))] == nil }
        }
    }

    /// What an order's lines say is refunded.
    static func refunded(_ order: Order) -> (money: Int64, units: Int64) {
        sum(order.lines.map { ($0.refunded.raw, $0.price.raw) })
    }

    /// What a refund gives back.
    static func given(_ refund: Refund) -> (money: Int64, units: Int64) {
        sum(refund.lines.map { ($0.units.raw, $0.price.raw) })
    }

    private static func sum(_ lines: [(units: Int64, price: Int64)]) -> (money: Int64, units: Int64) {
        lines.reduce((0, 0)) { ($0.0 &+ $1.units &* $1.price, $0.1 &+ $1.units) }
    }

    func check(_ report: inout AuditReport) {
        for (group, count) in counts where count.said != count.found {
            report.add(
                .wrongRefunded, "\(group)", "\(count.said) refunds of it are not over, but its markers say \(count.found)")
        }
        for refund in open.values {
            for leg in refund.legs {
                guard let marker = markers[RecordKey(leg.account, .refund(refund.id))] else { continue }
                if marker.isForgotten {
                    report.add(.wrongRefunded, "\(leg.account)", "\(refund.id) is open, and its marker says that it is over")
                }
                if marker.amount != leg.amount {
                    report.add(
                        .wrongRefunded, "\(leg.account)",
                        "\(refund.id) gives it \(leg.amount.raw), and credited \(marker.amount.raw)")
                }
            }
        }
    }
}
