// The metrics of the services. Instruments are made once and kept. A counter in the path of a checkout costs an atomic
// addition; gauges are set once a second. docs/operating.md explains them to operators.

import CoreMetrics
import KontorCore

/// The instruments of the three services. Without a factory they count nothing, as in tests and in the simulator.
public final class ShopMetrics: Sendable {
    let factory: any MetricsFactory
    private let paid, outOfStock, outOfCredit, contended, reserved, unreachable, unknownAccount, paidDirectly: Counter
    private let refusedByAnomaly, unknown: Counter
    private let notBegun: [NotBegun: Counter]
    private let anomalies: [Anomaly: Counter]
    private let doneInits, failedInits: [GroupKey.Kind: Counter]
    let contradictingLocks: Counter
    let resumedSagas, settledOrphans: Counter
    let retries, resentMessages, refunds, reservations, expiredReservations: Counter
    let openSagas, oldestSagaSeconds, openRefunds, oldestRefundSeconds, requestsInFlight: Gauge

    /// Why a checkout did not begin.
    enum NotBegun: String, CaseIterable {
        case alreadyPaid = "already_paid"
        case unknownOrder = "unknown_order"
        case removedOrder = "removed_order"
        case emptyOrder = "empty_order"
        case overLimit = "over_limit"
        case unavailable, overloaded, other
    }

    public init(factory: any MetricsFactory = NOOPMetricsHandler.instance) {
        self.factory = factory
        func counter(_ name: String, _ labels: (String, String)...) -> Counter {
            Counter(label: name, dimensions: labels, factory: factory)
        }
        func outcome(_ name: String) -> Counter { counter("kontor_checkouts", ("outcome", name)) }
        paid = outcome("paid")
        outOfStock = outcome("out_of_stock")
        outOfCredit = outcome("out_of_credit")
        contended = outcome("contended")
        reserved = outcome("reserved")
        unreachable = outcome("unreachable")
        unknownAccount = outcome("unknown_account")
        paidDirectly = outcome("paid_directly")
        refusedByAnomaly = outcome("anomaly")
        unknown = outcome("unknown")
        notBegun = Dictionary(
            uniqueKeysWithValues: NotBegun.allCases.map {
                ($0, counter("kontor_checkouts_not_begun", ("reason", $0.rawValue)))
            })
        anomalies = Dictionary(
            uniqueKeysWithValues: Anomaly.allCases.filter(\.isAlarming).map {
                ($0, counter("kontor_anomalies", ("kind", $0.label)))
            })
        func inits(_ outcome: String) -> [GroupKey.Kind: Counter] {
            Dictionary(
                uniqueKeysWithValues: GroupKey.Kind.allCases.map {
                    ($0, counter("kontor_batch_inits", ("kind", "\($0)"), ("outcome", outcome)))
                })
        }
        doneInits = inits("done")
        failedInits = inits("failed")
        contradictingLocks = counter("kontor_anomalies", ("kind", "contradicting_lock"))
        resumedSagas = counter("kontor_recovered_sagas")
        settledOrphans = counter("kontor_recovered_orphans")
        retries = counter("kontor_checkout_retries")
        resentMessages = counter("kontor_saga_messages_resent")
        refunds = counter("kontor_refunds")
        reservations = counter("kontor_reservations")
        expiredReservations = counter("kontor_reservations_expired")
        openSagas = Gauge(label: "kontor_open_sagas", factory: factory)
        oldestSagaSeconds = Gauge(label: "kontor_oldest_saga_seconds", factory: factory)
        openRefunds = Gauge(label: "kontor_open_refunds", factory: factory)
        oldestRefundSeconds = Gauge(label: "kontor_oldest_refund_seconds", factory: factory)
        requestsInFlight = Gauge(label: "kontor_requests_in_flight", factory: factory)
    }

    /// Counts the end of a checkout. nil: its result is not known here.
    func ended(_ result: CheckoutResult?) {
        switch result {
        case .paid: paid.increment()
        case .refused(.insufficient(let account, _, _)):
            if account.kind == .user { outOfCredit.increment() } else { outOfStock.increment() }
        case .refused(.unknownAccount): unknownAccount.increment()
        case .reserved: reservations.increment()
        case .givenBack, .refused(.reservationEnded): break
        case .refused(.contended): contended.increment()
        case .refused(.reserved): reserved.increment()
        case .refused(.unreachable): unreachable.increment()
        case .refused(.paidDirectly): paidDirectly.increment()
        case .refused(.anomaly): refusedByAnomaly.increment()
        case .notBegun(let outcome): didNotBegin(.decided(outcome))
        case nil: unknown.increment()
        }
    }

    func didNotBegin(_ reply: OrderReply) {
        switch reply {
        case .decided(.begun), .decided(.running), .keyed: break
        case .decided(.alreadyPaid), .decided(.isRefunded): didNotBegin(because: .alreadyPaid)
        case .decided(.unknownOrder): didNotBegin(because: .unknownOrder)
        case .decided(.isRemoved): didNotBegin(because: .removedOrder)
        case .decided(.isEmpty): didNotBegin(because: .emptyOrder)
        case .decided(.overLimit): didNotBegin(because: .overLimit)
        case .decided: didNotBegin(because: .other)
        case .refused: didNotBegin(because: .unavailable)
        case .unknown: ended(nil)
        }
    }

    /// Counts a checkout that was refused because too many requests are in flight.
    public func didRefuseCheckout() { didNotBegin(because: .overloaded) }

    /// Sets the gauge of requests that were taken and are not answered.
    public func publish(requestsInFlight count: Int) { requestsInFlight.record(count) }

    func didNotBegin(because reason: NotBegun) { notBegun[reason]?.increment() }

    func alarmed(_ anomaly: Anomaly) { anomalies[anomaly]?.increment() }

    /// Counts the end of a `batch_init`.
    func initialized(_ kind: GroupKey.Kind, isDone: Bool) {
        (isDone ? doneInits : failedInits)[kind]?.increment()
    }
}

extension Anomaly {
    fileprivate var label: String {
        switch self {
        case .lateHold: return "late_hold"
        case .captureAfterRelease: return "capture_after_release"
        case .releaseAfterCapture: return "release_after_capture"
        case .captureWithoutHold: return "capture_without_hold"
        case .differentAmount: return "different_amount"
        case .untimelyRefund: return "untimely_refund"
        }
    }
}
