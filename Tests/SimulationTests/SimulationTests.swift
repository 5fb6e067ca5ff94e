import KontorSimulation
import Testing

@Suite("Simulated worlds")
struct SimulationTests {
    @Test("the same seed has the same story", arguments: 1...4 as ClosedRange<UInt64>)
    func isDeterministic(seed: UInt64) {
        let silent = Simulation.run(seed: seed)
        let first = Simulation.run(seed: seed, isRecording: true)
        let second = Simulation.run(seed: seed, isRecording: true)
        #expect(silent.simulatedMicroseconds == first.simulatedMicroseconds, "its trace changes nothing")
        #expect(silent.largestQueue == first.largestQueue && silent.coverage.faults == first.coverage.faults)
        #expect(silent.recoveryMicroseconds == first.recoveryMicroseconds && silent.violations == first.violations)
        #expect(first.fingerprint == second.fingerprint)
        #expect(first.simulatedMicroseconds == second.simulatedMicroseconds)
        #expect(first.violations == second.violations)
        #expect(!second.trace.isEmpty)
    }

    @Test("other seeds have other stories")
    func differs() {
        #expect(Set((1...6).map { Simulation.run(seed: $0, isRecording: true).fingerprint }).count == 6)
    }

    @Test("worlds that run at the same time do not touch each other")
    func isIsolated() {
        let alone = (1...4).map { Simulation.run(seed: $0).simulatedMicroseconds }
        let together = SimulationRun.run(SimulationPlan(firstSeed: 1, seeds: 4, seconds: nil, threads: 4))
        #expect(together.seeds == 4)
        #expect(together.simulatedMicroseconds == alone.reduce(0, +))
    }

    /// A few, with the checks of a debug build; thousands are `make simulate`'s. What they find gets a test next to
    /// what was mended.
    @Test("no promise is broken", arguments: 1...16 as ClosedRange<UInt64>)
    func keepsPromises(seed: UInt64) {
        #expect(Simulation.run(seed: seed).violations == [])
    }
}
