// Many seeds, on all processors: each world has one thread, and worlds share nothing.

import Foundation
import Synchronization

/// Which seeds to run, and until when.
public struct SimulationPlan: Sendable {
    /// The first seed; the others follow it.
    public var firstSeed: UInt64
    /// The most seeds to run; nil: as many as the time allows.
    public var seeds: Int?
    /// The seconds after which no new seed begins; nil: all seeds are run.
    public var seconds: Double?
    /// The number of worlds that run at a time.
    public var threads: Int
    /// The number of failed seeds at which the run ends early.
    public var failures: Int

    public init(firstSeed: UInt64, seeds: Int?, seconds: Double?, threads: Int, failures: Int = 3) {
        self.firstSeed = firstSeed
        self.seeds = seeds
        self.seconds = seconds
        self.threads = threads
        self.failures = failures
    }
}

/// The outcome of many seeds so far.
public struct SimulationReport: Sendable {
    /// The number of seeds that were run.
    public var seeds = 0
    /// How long that took, by a real clock.
    public var seconds = 0.0
    /// How long the worlds lasted together, by their own clocks.
    public var simulatedMicroseconds: Int64 = 0
    public var coverage = Coverage()
    /// The longest time after the faults until all checkouts had ended, and its seed; worlds whose clocks were wrong by
    /// more than the shop allows for do not count.
    public var worstRecovery: (microseconds: Int64, seed: UInt64) = (0, 0)
    /// The most that one process had in all of its queues, and its seed.
    public var largestQueue: (entries: Int, seed: UInt64) = (0, 0)
    /// The verdicts of the failed seeds, by seed.
    public var failed: [Verdict] = []

    /// How long the worlds lasted together, in hours.
    public var simulatedHours: Double { Double(simulatedMicroseconds) / 3.6e9 }

    fileprivate mutating func add(_ verdict: Verdict) {
        seeds += 1
        simulatedMicroseconds += verdict.simulatedMicroseconds
        coverage.add(verdict.coverage)
        if verdict.coverage[.clockFarOff] == 0, verdict.recoveryMicroseconds > worstRecovery.microseconds {
            worstRecovery = (verdict.recoveryMicroseconds, verdict.seed)
        }
        if verdict.largestQueue > largestQueue.entries { largestQueue = (verdict.largestQueue, verdict.seed) }
        if !verdict.violations.isEmpty { failed.append(verdict) }
    }
}

/// A run over many seeds.
public final class SimulationRun: Sendable {
    private let plan: SimulationPlan
    private let began = ContinuousClock.now
    private let nextSeed = Atomic(0)
    private let report = Mutex(SimulationReport())

    private init(_ plan: SimulationPlan) { self.plan = plan }

    /// Runs a plan, and blocks until it is done.
    ///
    /// - Parameter progress: called about once a second, on this thread.
    public static func run(_ plan: SimulationPlan, progress: (SimulationReport) -> Void = { _ in }) -> SimulationReport {
        let run = SimulationRun(plan)
        let done = DispatchSemaphore(value: 0)
        for number in 0..<plan.threads {
            let thread = Thread {
                run.work()
                done.signal()
            }
            // A debug build recurses through the shop's completions more deeply than a thread's usual half megabyte.
            thread.stackSize = 16 << 20
            thread.name = "simulation \(number)"
            thread.start()
        }
        var running = plan.threads
        while running > 0 {
            if done.wait(timeout: .now() + 1) == .success { running -= 1 } else { progress(run.present) }
        }
        return run.present
    }

    private var elapsed: Double { (ContinuousClock.now - began) / .seconds(1) }

    private var present: SimulationReport {
        var present = report.withLock { $0 }
        present.seconds = elapsed
        present.failed.sort { $0.seed < $1.seed }
        return present
    }

    private func work() {
        while true {
            let number = nextSeed.wrappingAdd(1, ordering: .relaxed).oldValue
            if let seeds = plan.seeds, number >= seeds { return }
            if let seconds = plan.seconds, elapsed >= seconds { return }
            if report.withLock({ $0.failed.count }) >= plan.failures { return }
            let verdict = Simulation.run(seed: plan.firstSeed &+ UInt64(number))
            report.withLock { $0.add(verdict) }
        }
    }
}
