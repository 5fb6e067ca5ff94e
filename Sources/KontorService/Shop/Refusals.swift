// Work that is refused for want of room: counted one by one, and reported to operators by the period. A full disk or an
// overload that refuses ten thousand requests a second is two log lines: when it began, and when it ended.

import CoreMetrics
import KontorCore
import Synchronization

/// Why work is refused that could be done later.
public enum RefusalReason: Int, CaseIterable, Sendable {
    case diskFull, memoryFull, storeUnavailable, openSagas, requestsInFlight, connections, batchInits, keptKeys
    case openRefunds, reservedItems

    var label: String {
        switch self {
        case .diskFull: return "disk_full"
        case .memoryFull: return "memory_full"
        case .storeUnavailable: return "store_unavailable"
        case .openSagas: return "open_sagas"
        case .requestsInFlight: return "requests_in_flight"
        case .connections: return "connections"
        case .batchInits: return "batch_inits"
        case .keptKeys: return "kept_keys"
        case .openRefunds: return "open_refunds"
        case .reservedItems: return "reserved_items"
        }
    }

    /// The reason in words, for operators.
    fileprivate var text: String {
        switch self {
        case .diskFull: return "the disk is full: make room, nothing else is needed"
        case .memoryFull: return "Redis has used 90 % of its maxmemory: raise it, or remove what is not needed"
        case .storeUnavailable: return "the store does not take new work"
        case .openSagas: return "\(Limits.openSagas) checkouts are open, or fewer with \(Limits.openLegs) items and users"
        case .requestsInFlight: return "\(Limits.requestsInFlight) requests are in flight"
        case .connections: return "the bound of open connections is reached"
        case .batchInits: return "another batch_init is running"
        case .keptKeys:
            return "no more idempotency keys can be kept; writes that bear no key, and no stamp of a gateway, are taken"
        case .openRefunds:
            return "\(Limits.openRefunds) refunds are open, or fewer with \(Limits.openRefundLegs) items and users"
        case .reservedItems:
            return "reserved orders and open checkouts have \(Limits.reservedItems) items and users; each is kept in memory"
        }
    }

    init(_ error: StoreError) {
        switch error {
        case .diskFull: self = .diskFull
        case .memoryFull: self = .memoryFull
        case .unreachable, .unreadable: self = .storeUnavailable
        }
    }
}

/// Counts of refusals since the start. From any thread; each count costs an atomic addition.
public final class Refusals: Sendable {
    private let diskFull = Atomic(0), memoryFull = Atomic(0), storeUnavailable = Atomic(0), openSagas = Atomic(0)
    private let requestsInFlight = Atomic(0), connections = Atomic(0), batchInits = Atomic(0), keptKeys = Atomic(0)
    private let openRefunds = Atomic(0), reservedItems = Atomic(0)

    public init() {}

    /// Counts one refusal.
    public func count(_ reason: RefusalReason) {
        switch reason {
        case .diskFull: diskFull.wrappingAdd(1, ordering: .relaxed)
        case .memoryFull: memoryFull.wrappingAdd(1, ordering: .relaxed)
        case .storeUnavailable: storeUnavailable.wrappingAdd(1, ordering: .relaxed)
        case .openSagas: openSagas.wrappingAdd(1, ordering: .relaxed)
        case .requestsInFlight: requestsInFlight.wrappingAdd(1, ordering: .relaxed)
        case .connections: connections.wrappingAdd(1, ordering: .relaxed)
        case .batchInits: batchInits.wrappingAdd(1, ordering: .relaxed)
        case .keptKeys: keptKeys.wrappingAdd(1, ordering: .relaxed)
        case .openRefunds: openRefunds.wrappingAdd(1, ordering: .relaxed)
        case .reservedItems: reservedItems.wrappingAdd(1, ordering: .relaxed)
        }
    }

    /// The number of refusals for a reason.
    public func total(_ reason: RefusalReason) -> Int {
        switch reason {
        case .diskFull: return diskFull.load(ordering: .relaxed)
        case .memoryFull: return memoryFull.load(ordering: .relaxed)
        case .storeUnavailable: return storeUnavailable.load(ordering: .relaxed)
        case .openSagas: return openSagas.load(ordering: .relaxed)
        case .requestsInFlight: return requestsInFlight.load(ordering: .relaxed)
        case .connections: return connections.load(ordering: .relaxed)
        case .batchInits: return batchInits.load(ordering: .relaxed)
        case .keptKeys: return keptKeys.load(ordering: .relaxed)
        case .openRefunds: return openRefunds.load(ordering: .relaxed)
        case .reservedItems: return reservedItems.load(ordering: .relaxed)
        }
    }
}

/// Logs when a period of refusals begins and ends. Confined to the shop's serial domain.
final class RefusalLog {
    private struct Period {
        let began: Int64
        let totalBefore: Int
        var lastSeen: Int64
        var told: Int64
    }

    private let refusals: Refusals
    private let log: any EventLog
    private let counters: [Counter]
    private var totals = [Int](repeating: 0, count: RefusalReason.allCases.count)
    private var periods: [RefusalReason: Period] = [:]
    /// Whether nothing is logged: the store is being closed, and takes no work as intended.
    var isSilent = false

    init(_ refusals: Refusals, log: any EventLog, factory: any MetricsFactory) {
        self.refusals = refusals
        self.log = log
        counters = RefusalReason.allCases.map {
            Counter(label: "kontor_refusals", dimensions: [("reason", $0.label)], factory: factory)
        }
    }

    /// - Parameter admission: why the store takes no work now, even if nobody has asked for it; nil: it takes work.
    func tick(now: Int64, admission: StoreError?) {
        if isSilent { return }
        let closedBy = admission.map { RefusalReason($0) }
        for reason in RefusalReason.allCases {
            let before = totals[reason.rawValue]
            let total = refusals.total(reason)
            totals[reason.rawValue] = total
            if total > before { counters[reason.rawValue].increment(by: total - before) }
            if total > before || reason == closedBy {
                noteRefusal(reason, now: now, totalBefore: before, admission: reason == closedBy ? admission : nil)
            } else if let period = periods[reason], now - period.lastSeen >= Limits.refusalQuietMilliseconds {
                end(reason, period)
            }
        }
    }

    private func noteRefusal(_ reason: RefusalReason, now: Int64, totalBefore: Int, admission: StoreError?) {
        guard var period = periods[reason] else {
            periods[reason] = Period(began: now, totalBefore: totalBefore, lastSeen: now, told: now)
            var details = ["reason": reason.label, "text": reason.text]
            if case .unreachable(let text)? = admission { details["store"] = text }
            return log.warning("New work is refused", details)
        }
        period.lastSeen = now
        if now - period.told >= Limits.refusalReminderMilliseconds {
            period.told = now
            log.warning("New work is still refused", details(reason, period, until: now))
        }
        periods[reason] = period
    }

    private func end(_ reason: RefusalReason, _ period: Period) {
        periods[reason] = nil
        log.notice("New work is taken again", details(reason, period, until: period.lastSeen))
    }

    private func details(_ reason: RefusalReason, _ period: Period, until end: Int64) -> [String: String] {
        [
            "reason": reason.label, "refused": "\(totals[reason.rawValue] - period.totalBefore)",
            "seconds": "\((end - period.began + 999) / 1000)",
        ]
    }
}
