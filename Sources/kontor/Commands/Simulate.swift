// `kontor simulate`: runs the shop in simulated worlds, where everything that can break breaks.

import ArgumentParser
import Foundation
import KontorSimulation

struct Simulate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the shop in simulated worlds with crashes and faults, and judge what comes of it.",
        discussion: """
            Each seed is a world of its own: its clients, its faults, its disk and its clock. The shop in it is the one that is \
            served: the same rules, sagas, engine, recovery and journal. Afterwards the books and every answer are judged.

            A seed that fails is named; --seed N --trace tells its story, the same one each time.

            Exits with 1 if a promise was broken, and with 3 if none was but a kind of fault or a rare branch never happened in a
            run of 2000 seeds or more.
            """)

    @Option(help: "How many seeds. (default: 1000, or as many as --minutes allows)")
    var seeds: Int?

    @Option(help: "Only this seed.")
    var seed: UInt64?

    @Option(help: "Begin with this seed. (default: a random one)")
    var first: UInt64?

    @Option(help: "For how long.")
    var minutes: Double?

    @Option(help: "End after this many seeds that failed.")
    var failures = 3

    @Option(help: "Worlds at a time. (default: one a processor)")
    var threads: Int?

    @Flag(help: "With --seed: print everything that happened.")
    var trace = false

    @Option(help: "With --trace: only lines that have this text.")
    var about: [String] = []

    func validate() throws {
        guard (seeds ?? 1) > 0, (minutes ?? 1) > 0, (threads ?? 1) > 0, failures > 0 else {
            throw ValidationError("--seeds, --minutes, --failures and --threads are more than 0.")
        }
        if trace && seed == nil { throw ValidationError("--trace needs --seed: one world's story.") }
    }

    func run() throws {
        if let seed { try replay(seed) } else { try runMany() }
    }

    private func replay(_ seed: UInt64) throws {
        let verdict = Simulation.run(seed: seed, isRecording: true)
        let lines = trace ? verdict.trace.map(\.description) : verdict.story
        for line in lines where about.isEmpty || about.contains(where: { line.contains($0) }) { print(line) }
        print("seed \(seed): fingerprint \(String(verdict.fingerprint, radix: 16))")
        for violation in verdict.violations { print("BROKEN: \(violation)") }
        if !verdict.violations.isEmpty { throw ExitCode(1) }
    }

    private func runMany() throws {
        let plan = SimulationPlan(
            firstSeed: first ?? UInt64.random(in: 0..<1_000_000_000_000),
            seeds: seeds ?? (minutes == nil ? 1_000 : nil), seconds: minutes.map { $0 * 60 },
            threads: threads ?? ProcessInfo.processInfo.activeProcessorCount, failures: failures)
        print("Seeds from \(plan.firstSeed) on, \(plan.threads) at a time.")
        var lastLine = 0.0
        let report = SimulationRun.run(plan) { report in
            guard report.seconds - lastLine >= 5 else { return }
            lastLine = report.seconds
            print(report.line)
            // The output may be a file that somebody watches.
            fflush(nil)
        }
        print(report.line)
        for verdict in report.failed {
            print("\nSeed \(verdict.seed) BROKE a promise. Its story: kontor simulate --seed \(verdict.seed) --trace")
            for violation in verdict.violations.prefix(10) { print("  \(violation)") }
        }
        if !report.failed.isEmpty { throw ExitCode(1) }
        print(report.branches)
        if report.seeds >= 2_000 && !report.coverage.missing.isEmpty { throw ExitCode(3) }
    }
}

extension Verdict {
    /// The lines about what the violations name, or all lines if they name nothing.
    fileprivate var story: [String] {
        let names = Set(
            violations.flatMap { $0.split(whereSeparator: { " :,".contains($0) }) }.filter { word in
                word.count > 20 || word.first == "#"
            })
        return trace.map(\.description).filter { line in names.contains { line.contains($0) } }
    }
}

extension SimulationReport {
    fileprivate var line: String {
        let rate = seconds > 0 ? Double(seeds) / seconds : 0
        let seen = Branch.allCases.count - coverage.missing.count
        return """
            \(Self.text(seconds, 0)) s: \(seeds) seeds (\(Self.text(rate, 1))/s), \(Self.text(simulatedHours, 1)) simulated hours, \
            \(coverage.faults) faults, \(seen) of \(Branch.allCases.count) branches, \(failed.count) failed
            """
    }

    fileprivate var branches: String {
        let lines = Branch.allCases.map { branch in
            let count = String(coverage[branch])
            return String(repeating: " ", count: max(0, 10 - count.count)) + count + "  " + branch.rawValue
        }
        return "\nLongest until all checkouts had ended after the faults: \(worstRecovery.microseconds / 1_000) ms "
            + "(seed \(worstRecovery.seed)). Largest queues of a process: \(largestQueue.entries) (seed \(largestQueue.seed)).\n"
            + "\nWhat happened:\n" + lines.joined(separator: "\n")
            + (coverage.missing.isEmpty
                ? "" : "\n\nNever happened: \(coverage.missing.map(\.rawValue).joined(separator: ", "))")
    }

    private static func text(_ number: Double, _ digits: Int) -> String {
        String(format: "%.\(digits)f", number)
    }
}
