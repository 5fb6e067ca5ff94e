// `kontor doctor`: shows what is in a store, its state, and what to do about it. It writes nothing, whatever that state
// is.

import ArgumentParser
import Foundation
import KontorEmbedded

struct Doctor: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Says what is in the store, how its files are, what a restart will replay, and what to do.",
        discussion: """
            Writes nothing and makes no file, also while the shop runs. Exit status: 0 healthy; 1 it works, and there is something \
            to do; 2 it cannot be read, and a server would not start on it.
            """)

    @Option(help: "The directory of the store. (default: kontor-data; environment: KONTOR_DATA)")
    var data: String?

    func run() throws {
        let directory = try Setting.directory(data)
        guard FileManager.default.fileExists(atPath: directory) else {
            try end(
                2, "there is no directory \(directory). `kontor serve` makes a new store, `kontor restore` one from a backup")
        }
        let found = StoreExamination(of: directory)
        let now = Int64(Date().timeIntervalSince1970 * 1_000)
        for line in facts(found, directory, now) { print(line) }
        let findings = findings(found, now)
        print("")
        for problem in found.problems { print("PROBLEM: \(problem)\n  \(advice(problem, found))") }
        for finding in findings { print("FINDING: \(finding)") }
        if !found.problems.isEmpty { throw ExitCode(2) }
        if !findings.isEmpty { throw ExitCode(1) }
        print("Healthy. Whether the books balance, `kontor audit` says.")
    }

    // MARK: Facts

    private func facts(_ found: StoreExamination, _ directory: String, _ now: Int64) -> [String] {
        var lines = [
            "Store      \(directory), \(found.owner.map { "served by process \($0)" } ?? "served by no process")"
        ]
        if let census = found.census {
            lines.append(
                """
                Records    \(census.items) items, \(census.users) users, \(census.orders) orders (\(census.paidOrders) paid), \
                \(census.openSagas) open checkouts, \(census.refunds) refunds, \(census.holds) holds, \(census.keys) idempotency keys, \
                \(census.listed) entries of lists, \(census.others) others
                """)
            for saga in census.oldestSagas {
                lines.append(
                    "             order \(saga.order): \(saga.phase), began \(relative(saga.begun, now)), deadline \(relative(saga.deadline, now))"
                )
            }
        }
        let journalBytes = found.files.segments.reduce(0) { $0 + $1.bytes }
        lines.append(
            "Journal    \(count(found.files.segments.count, "segment")), \(size(journalBytes)), format \(text(found.files.journalFormat))"
        )
        for segment in found.files.segments { lines.append("             \(segment.name)  \(size(segment.bytes))") }
        lines.append(
            """
            Table      \(size(found.files.tableBytes)), log \(size(found.files.tableLogBytes)), has all up to frame \
            \(text(found.tablePosition)), format \(text(found.tableFormat))
            """)
        if let replay = found.replay {
            lines.append(
                """
                Restart    replays \(count(replay.frames, "frame")), \(count(replay.records, "record")), \(size(replay.bytes)): \
                about \(String(format: "%.1f", Double(replay.estimatedMilliseconds) / 1_000)) s
                """)
            if replay.tornBytes > 0 {
                let what = found.owner == nil ? "a start cuts it" : "it is being written"
                lines.append("             behind them \(replay.tornBytes) bytes of a frame that nobody was told of: \(what)")
            }
        }
        let formats = StoreExamination.formats
        lines.append("Formats    this kontor reads journals up to \(formats.journal), tables up to \(formats.table)")
        if let free = found.freeBytes {
            let spare = found.files.spareBytes == nil ? "not reserved" : "reserved"
            lines.append("Disk       \(size(free)) free; the next segment (\(size(StoreExamination.reserveBytes))) is \(spare)")
        }
        return lines
    }

    // MARK: Findings

    private func findings(_ found: StoreExamination, _ now: Int64) -> [String] {
        var findings: [String] = []
        let reserve = StoreExamination.reserveBytes
        if let free = found.freeBytes, free < reserve {
            findings.append(
                "only \(size(free)) are free, and the journal reserves \(size(reserve)) at a time: writes get 424 soon. Make room."
            )
        } else if found.owner != nil && found.files.spareBytes == nil {
            findings.append("the server has no next segment reserved. If this lasts, look into its log.")
        }
        if let replay = found.replay, replay.bytes >= StoreExamination.urgentFoldBytes {
            let advice =
                found.owner == nil
                ? "Start it when the shop can wait that long." : "Look at the disk's load: the fold does not keep up."
            findings.append("a restart replays \(size(replay.bytes)), which takes longer than 1.5 s. \(advice)")
        }
        let late = (found.census?.oldestSagas ?? []).filter { now - $0.deadline > Self.lateMilliseconds }
        if found.owner != nil, let oldest = late.first {
            findings.append(
                """
                order \(oldest.order) is in checkout since before its deadline, \(relative(oldest.deadline, now)), and the server \
                does not end it. Look into its log; a restart recovers it.
                """)
        }
        return findings
    }

    /// The age at which an open checkout is a finding: ten times its deadline and 5 s of recovery.
    private static let lateMilliseconds: Int64 = 60_000

    private func advice(_ problem: EmbeddedError, _ found: StoreExamination) -> String {
        switch problem {
        case .damage where found.owner == nil:
            return "A server does not start on this. Keep a copy of the directory, then restore the last backup into a new one."
        case .damage:
            return "The server that runs may go on; do not restart it. Take a copy of what it has: kontor backup."
        case .newerFormat: return "Use the kontor that wrote it, or a later one."
        case .unfinishedRestore: return "Until then nothing is served from it."
        default:
            return "Nothing says that the store is damaged: it could not be read from here. See to that, then look again."
        }
    }

    // MARK: Words

    private func relative(_ deadline: Int64, _ now: Int64) -> String {
        let seconds = String(format: "%.1f", Double(abs(deadline - now)) / 1_000)
        return deadline < now ? "\(seconds) s ago" : "in \(seconds) s"
    }

    private func text<Value>(_ value: Value?) -> String { value.map { "\($0)" } ?? "unknown" }

    private func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }

    private func size(_ bytes: Int) -> String {
        bytes < 1 << 20 ? "\(bytes) bytes" : String(format: "%.1f MiB", Double(bytes) / Double(1 << 20))
    }
}
