// How much one caller may ask for. Token buckets (Turner, "New Directions in Communications", 1986) in a table of fixed
// size: a stranger with a million addresses fills no memory.

import KontorCore
import KontorService

/// The limits of one caller: a known one, else an address. 0: no limit.
public struct CallerRates: Hashable, Sendable {
    /// Requests a second.
    public var requests = 0
    /// Items, users and orders that are created a second.
    public var creations = 0
    /// Open connections of an address.
    public var connections = 0

    /// No limits.
    public init() {}
}

/// What the callers of one event loop have used.
final class CallerLimits {
    /// What is limited.
    enum Resource: Int, CaseIterable {
        case request, creation, verification
    }

    private struct Bucket {
        /// What may still be taken, in the parts of ``Rate``; a bucket that was never used is full.
        var left: Int64
        /// When that was so, monotonic milliseconds.
        var at: Int64
    }

    /// Buckets of each resource: far more than callers that are near a limit. Two callers may share one.
    static let buckets = 4_096
    /// Signatures of strangers that are verified a second for each address: a hundredth of a processor.
    static let verifications = 100

    private let rates: CallerRates
    private var table: [Bucket?]

    init(_ rates: CallerRates) {
        self.rates = rates
        isEmpty = rates.requests == 0 && rates.creations == 0
        table = Array(repeating: nil, count: Self.buckets * Resource.allCases.count)
    }

    /// Takes one of something for a caller.
    ///
    /// - Parameter now: monotonic milliseconds.
    /// - Returns: whether there was one left.
    func take(_ resource: Resource, for caller: some Hashable, now: Int64) -> Bool {
        guard let rate = rate(of: resource) else { return true }
        // The hash has a seed of the process's own, so nobody can choose whose bucket he shares.
        let place = resource.rawValue * Self.buckets + Int(UInt(bitPattern: caller.hashValue) % UInt(Self.buckets))
        var bucket = table[place] ?? Bucket(left: rate.most, at: now)
        // A bucket that was empty is full after this time, and no fuller later.
        let passed = min(max(0, now - bucket.at), rate.most / rate.perMillisecond + 1)
        bucket.left = min(rate.most, bucket.left + passed * rate.perMillisecond)
        bucket.at = now
        defer { table[place] = bucket }
        guard bucket.left >= rate.parts else { return false }
        bucket.left -= rate.parts
        return true
    }

    /// How fast a bucket fills. One of what it holds is so many parts that whole parts flow in each millisecond.
    private struct Rate {
        let perMillisecond, parts, most: Int64

        /// - Returns: nil if there is no limit.
        init?(_ number: Int, in milliseconds: Int64, atOnce: Int) {
            if number == 0 { return nil }
            (perMillisecond, parts, most) = (Int64(number), milliseconds, Int64(atOnce) * milliseconds)
        }
    }

    /// A bucket holds two seconds' worth.
    private func rate(of resource: Resource) -> Rate? {
        func perSecond(_ number: Int) -> Rate? { Rate(number, in: 1_000, atOnce: 2 * number) }
        switch resource {
        case .request: return perSecond(rates.requests)
        case .creation: return perSecond(rates.creations)
        case .verification: return perSecond(Self.verifications)
        }
    }

    /// Whether there is none for calls.
    let isEmpty: Bool

    /// Takes what a call needs, or refuses it.
    func take(_ call: ShopCall, from address: NetworkAddress?, now: Int64) throws(Problem) {
        let caller = Caller(name: call.principal?.name, address: call.principal == nil ? address : nil)
        if !take(.request, for: caller, now: now) { throw .callerLimit("\(rates.requests) requests a second") }
        if call.request.isCreation, !take(.creation, for: caller, now: now) {
            throw .callerLimit("\(rates.creations) creations a second")
        }
    }

    private struct Caller: Hashable {
        let name: String?
        let address: NetworkAddress?
    }
}

extension Problem {
    /// - Parameter limit: what the caller had too many of.
    static func callerLimit(_ limit: String) -> Problem {
        Problem(
            .callerLimit, "One caller may have \(limit) here, and you have had them. This was not begun; send it again later.")
    }
}
