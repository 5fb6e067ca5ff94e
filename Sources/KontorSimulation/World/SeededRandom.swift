// Random numbers that repeat: SplitMix64 (Steele, Lea, Flood 2014). The same seed gives the same numbers in every
// release.

import KontorService

/// A seeded source of random numbers.
public final class SeededRandom: RandomSource, RandomNumberGenerator {
    private var state: UInt64

    public init(seed: UInt64) { state = seed }

    public func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// A number in `0 ..< bound`.
    public func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }

    /// A number in `range`.
    func within(_ range: ClosedRange<Int64>) -> Int64 {
        range.lowerBound + Int64(next() % UInt64(range.upperBound - range.lowerBound + 1))
    }

    /// True in `percent` of a hundred cases.
    func happens(_ percent: Double) -> Bool { Double(next() >> 11) / Double(1 << 53) * 100 < percent }

    /// One of the elements.
    func pick<Element>(_ elements: [Element]) -> Element { elements[below(elements.count)] }

    /// An independent source: what one part of the world draws from it does not change what other parts draw.
    func fork() -> SeededRandom { SeededRandom(seed: next()) }
}
