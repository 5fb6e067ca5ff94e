// How far the clocks of a shop's processes are apart, for operators. Nothing is decided by it: holds have a slack of
// `Limits.clockSkewMilliseconds`, and what is beyond costs time.

import CoreMetrics
import KontorCore

/// Watches the skew that links measure: sets the metric, warns when clocks drift, and alarms when they are further
/// apart than the shop allows for.
final class SkewWatch {
    private enum Level { case fine, warned, alarmed }

    private struct Watched {
        let kind: GroupKey.Kind
        let gauge: Gauge
        var level = Level.fine
    }

    private let transport: any Transport
    private let log: any EventLog
    private var watched: [Watched]

    init(_ transport: any Transport, log: any EventLog, factory: any MetricsFactory) {
        self.transport = transport
        self.log = log
        watched = GroupKey.Kind.allCases.map { kind in
            Watched(
                kind: kind,
                gauge: Gauge(
                    label: "kontor_clock_skew_seconds", dimensions: [("service", kind.serviceName)], factory: factory))
        }
    }

    /// To be called about once a second.
    func look() {
        for index in watched.indices {
            guard let skew = transport.peers(of: watched[index].kind).clockSkewMilliseconds else { continue }
            watched[index].gauge.record(Double(skew) / 1_000)
            let now: Level =
                abs(skew) > Limits.clockSkewMilliseconds
                ? .alarmed : abs(skew) > Limits.worryingClockSkewMilliseconds ? .warned : .fine
            if now == watched[index].level { continue }
            let before = watched[index].level
            watched[index].level = now
            let details = ["service": watched[index].kind.serviceName, "secondsAhead": "\(Double(skew) / 1_000)"]
            switch now {
            case .alarmed:
                log.alarm("A clock is further off than the shop allows for: checkouts may fail, and locks last longer", details)
            case .warned where before == .fine: log.warning("A clock is off: synchronise the clocks of all machines", details)
            case .warned, .fine: log.notice("A clock is less far off", details)
            }
        }
    }
}
