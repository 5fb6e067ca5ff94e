// The form of log lines: text for people, or one JSON object a line for machines.

import Foundation
import KontorHTTP
import KontorService
import Logging
import Synchronization

/// `--log-format`.
enum LogFormat: String {
    case text, json
}

/// Writes each line to standard error with one system call, so that lines of several threads never mix.
struct LineLogHandler: LogHandler {
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?
    var logLevel: Logger.Level
    let format: LogFormat

    init(_ format: LogFormat, level: Logger.Level) {
        self.format = format
        logLevel = level
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let fields = metadata.merging(event.metadata ?? [:]) { _, new in new }
        let line = LogLine(
            time: Date(), level: "\(event.level)", message: "\(event.message)", fields: fields.mapValues { "\($0)" })
        Self.write(Array(line.text(format).utf8))
    }
}

extension LineLogHandler {
    /// Writes bytes. What cannot be written (a full disk, a reader that is gone, or one that does not read) is lost: a
    /// shop must neither end nor stand still for want of its log. The next line that is written tells how many were.
    private static func write(_ bytes: [UInt8]) {
        // A pipe that says yes has room for a line of 4 KiB (POSIX, PIPE_BUF); a file always says yes.
        var descriptor = pollfd(fd: STDERR_FILENO, events: Int16(POLLOUT), revents: 0)
        guard poll(&descriptor, 1, 0) == 1, descriptor.revents & Int16(POLLOUT) != 0 else {
            lost.add(1, ordering: .relaxed)
            return
        }
        let lost = lost.exchange(0, ordering: .relaxed)
        if lost > 0 { put(Array("(\(lost) lines of the log are lost: its reader did not read)\n".utf8)) }
        put(bytes)
    }

    /// Lines that were not written since the last one that was.
    private static let lost = Atomic(0)

    private static func put(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { buffer in
            var rest = buffer[...]
            while !rest.isEmpty {
                let written = Foundation.write(STDERR_FILENO, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                if written < 0 && errno == EINTR { continue }
                guard written > 0 else { return }
                rest = rest.dropFirst(written)
            }
        }
    }
}

/// One log line.
struct LogLine {
    let time: Date
    let level: String
    let message: String
    let fields: [String: String]

    func text(_ format: LogFormat) -> String {
        let stamp = time.ISO8601Format(.init(includingFractionalSeconds: true))
        let sorted = fields.sorted { $0.key < $1.key }
        switch format {
        case .text:
            let tail = sorted.map { " \($0.key)=\(Self.quotedIfNeeded($0.value))" }.joined()
            return "\(stamp) \(level.uppercased()) \(Self.oneLine(message))\(tail)\n"
        case .json:
            var members = [("time", stamp), ("level", level), ("message", message)]
            // A field with the name of one of these members would hide it.
            members += sorted.map { field in (members.contains { $0.0 == field.key } ? "_" + field.key : field.key, field.value)
            }
            return "{" + members.map { "\(Self.quoted($0.0)):\(Self.quoted($0.1))" }.joined(separator: ",") + "}\n"
        }
    }

    private static func oneLine(_ text: String) -> String {
        String(text.map { $0.isNewline ? " " : $0 })
    }

    private static func quotedIfNeeded(_ value: String) -> String {
        let isPlain =
            !value.isEmpty && value.unicodeScalars.allSatisfy { $0.value > 0x20 && $0 != "\"" && $0 != "=" && $0.value != 0x7f }
        return isPlain ? value : quoted(value)
    }

    /// A JSON string (RFC 8259, section 7).
    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}

/// Writes the shop's events as log lines.
final class LoggedEvents: EventLog {
    private let logger: Logger

    init(_ logger: Logger) { self.logger = logger }

    func alarm(_ event: StaticString, _ details: [String: String]) { write(.critical, event, details) }
    func warning(_ event: StaticString, _ details: [String: String]) { write(.warning, event, details) }
    func notice(_ event: StaticString, _ details: [String: String]) { write(.notice, event, details) }

    private func write(_ level: Logger.Level, _ event: StaticString, _ details: [String: String]) {
        logger.log(level: level, "\(event)", metadata: details.mapValues { .string($0) })
    }
}

/// Tells the log of callers that asked for more than they may. One of them may ask 10,000 times a second, so there is a
/// line a second at most, which says how many were left out before it.
final class ForbiddenLog: Sendable {
    private struct State {
        /// The monotonic second of the last line.
        var second = Int64.min
        var left = 0
    }

    private let state = Mutex(State())
    private let logger: Logger
    private let clock: SystemClock

    init(_ logger: Logger, _ clock: SystemClock) {
        self.logger = logger
        self.clock = clock
    }

    /// Takes note of a refusal. From any thread.
    func note(_ forbidden: Forbidden) {
        let second = clock.monotonicMilliseconds / 1_000
        let left: Int? = state.withLock { state in
            if state.second == second {
                state.left += 1
                return nil
            }
            defer { state = State(second: second) }
            return state.left
        }
        guard let left else { return }
        logger.warning(
            "A caller asked for more than he may",
            metadata: [
                "principal": "\(forbidden.principal)", "address": "\(forbidden.address)", "request": "\(forbidden.request)",
                "reason": "\(forbidden.reason)", "others": "\(left)",
            ])
    }
}
