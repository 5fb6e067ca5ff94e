// The certificates of a running shop: read again when their files change, warned of before they end, and the handshakes
// that fail.

import CoreMetrics
import Foundation
import KontorTLS
import Logging
import NIOCore
import Synchronization

/// Certificates, and the watch over their files.
final class WatchedTLS: Sendable {
    let credentials: TLSCredentials
    private let watch: FileWatch
    private let end: EndOfCertificate?
    private let failures: TLSFailures

    /// Reads the files; throws an error in words for operators.
    init(_ files: TLSFiles, metrics: any MetricsFactory, _ logger: Logger) throws {
        watch = FileWatch(files.paths)
        do { credentials = try TLSCredentials(files, now: Self.now) } catch {
            throw StartError(description: error.description)
        }
        failures = TLSFailures(metrics: metrics, logger)
        // Without one there is no series: 1970 would be taken for its end.
        end = credentials.end.map { _ in EndOfCertificate(metrics: metrics, logger) }
        let look = { @Sendable [credentials, end] in
            if let last = credentials.end { end?.look(last, now: Self.now) }
        }
        look()
        watch.start(
            logger, done: "The certificates have changed, and were read again: new connections get them",
            failed: "The certificates have changed and cannot be used; those of before stay",
            reading: { [credentials] in
                try credentials.reread(now: Self.now)
                return [:]
            }, looked: look)
    }

    /// Seconds since 1970.
    private static var now: Int64 { Int64(Date().timeIntervalSince1970) }

    /// Adds TLS to a new connection of a listener.
    func secure(_ channel: any Channel, of listener: TLSCredentials.Listener) throws {
        try credentials.secure(channel, of: listener) { [failures] in failures.count($0, of: listener, from: $1) }
    }
}

/// Warns of the end of the certificate, once a day.
private final class EndOfCertificate: Sendable {
    private let gauge: Gauge
    private let logger: Logger
    /// When it was warned last, and of which end; seconds since 1970.
    private let warned = Mutex<(at: Int64, end: Int64)?>(nil)

    init(metrics: any MetricsFactory, _ logger: Logger) {
        gauge = Gauge(label: "kontor_tls_certificate_end_seconds", factory: metrics)
        self.logger = logger
    }

    /// - Parameter end: of the certificate.
    func look(_ end: Int64, now: Int64) {
        gauge.record(end)
        guard end - now < TLSLimits.warningSeconds, isDue(end, now) else { return }
        let time = Date(timeIntervalSince1970: TimeInterval(end)).ISO8601Format()
        if end < now {
            logger.error("The certificate has expired: renew it, clients refuse it", metadata: ["end": "\(time)"])
        } else {
            logger.warning(
                "The certificate ends soon: renew it, and replace the files",
                metadata: ["end": "\(time)", "days": "\((end - now) / 86_400)"])
        }
    }

    private func isDue(_ end: Int64, _ now: Int64) -> Bool {
        warned.withLock { warned in
            if let last = warned, last.end == end, now - last.at < TLSLimits.warningPauseSeconds { return false }
            warned = (now, end)
            return true
        }
    }
}

/// Counts the handshakes that fail, and logs each kind of failure now and then.
private final class TLSFailures: Sendable {
    private let metrics: any MetricsFactory
    private let logger: Logger
    /// When each kind was logged last, by listener and kind.
    private let logged = Mutex<[String: ContinuousClock.Instant]>([:])

    init(metrics: any MetricsFactory, _ logger: Logger) {
        self.metrics = metrics
        self.logger = logger
    }

    func count(_ failure: TLSFailure, of listener: TLSCredentials.Listener, from peer: SocketAddress?) {
        let labels = [("listener", listener.rawValue), ("reason", failure.kind.rawValue)]
        Counter(label: "kontor_tls_handshakes_failed", dimensions: labels, factory: metrics).increment()
        // Who only looks whether a port is open hangs up, too.
        guard failure.kind != .hungUp, isDue("\(listener) \(failure.kind)") else { return }
        logger.notice(
            "A connection without good TLS is refused",
            metadata: ["listener": "\(listener)", "from": "\(peer?.description ?? "")", "reason": "\(failure)"])
    }

    private func isDue(_ kind: String) -> Bool {
        let now = ContinuousClock.now
        return logged.withLock { logged in
            if let last = logged[kind], now - last < .milliseconds(TLSLimits.failureLogMilliseconds) { return false }
            logged[kind] = now
            return true
        }
    }
}
