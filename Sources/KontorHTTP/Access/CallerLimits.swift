// How much one caller may ask for. Token buckets (Turner, "New Directions in Communications", 1986) in a table of fixed
// size: a stranger with a million addresses fills no memory.

import KontorAccess
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
    /// Idempotency keys that are kept at a time, roughly: as many as this in each ``keyMilliseconds``.
    public var keys = 0
    /// How long a key is kept, milliseconds.
    public var keyMilliseconds = Limits.keyRetentionMilliseconds

    /// No limits.
    public init() {}
}

/// What the callers of one event loop have used.
final class CallerLimits {
    /// What is limited.
    enum Resource: Int, CaseIterable {
        case request, creation, verification, key
    }

    /// Whose key it is that may be kept with a write. An object, because few requests have one.
    final class KeyHolder: Sendable {
        let caller: Caller

        init(_ caller: Caller) { self.caller = caller }
    }

    /// Somebody whose use is counted: a known caller, else an address.
    struct Caller: Hashable {
        let name: String?
        let address: NetworkAddress?

        init(_ principal: Principal?, _ address: NetworkAddress?) {
            name = principal?.name
            self.address = principal == nil ? address : nil
        }
    }

    /// So many of something may be taken in a period, and `most` at once.
    private struct Rate {
        let number: Int64
        /// Milliseconds.
        var period: Int64 = 1_000
        let most: Int64

        /// What a full bucket has: each thing costs as much as the period has milliseconds, and a millisecond gives
        /// back as much as the number.
        var full: Int64 { most * period }
    }

    private struct Bucket {
        /// What is left, as ``Rate/full`` counts.
        var left: Int64
        /// When that was so, monotonic milliseconds.
        var at: Int64
    }

    /// How long an empty bucket takes to be full, seconds: what a caller did not use for longer is lost.
    private static let bucketSeconds: Int64 = 2
    /// Buckets of each resource: far more than callers that are near a limit. Two callers may share one.
    static let buckets = 4_096
    /// Signatures of strangers that are verified a second for each address: a hundredth of a processor.
    static let verifications = 100

    /// Whether nothing that a call takes is limited.
    let isEmpty: Bool
    /// Whether a caller may have a number of idempotency keys.
    var areKeysLimited: Bool { rates.keys > 0 }
    private let rates: CallerRates
    /// A bucket that was never used is nil, and full.
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
        let (place, bucket) = bucket(of: resource, rate, caller, now: now)
        let isThere = bucket.left >= rate.period
        table[place] = Bucket(left: isThere ? bucket.left - rate.period : bucket.left, at: now)
        return isThere
    }

    /// Whether a caller's write may leave a key. The key is counted when it is kept: a refusal keeps none.
    ///
    /// - Parameter now: monotonic milliseconds.
    func hasRoomForKey(of caller: Caller, now: Int64) -> Bool {
        guard let rate = rate(of: .key) else { return true }
        return bucket(of: .key, rate, caller, now: now).bucket.left >= rate.period
    }

    /// Counts a key that was kept for a caller. Of several at once the last ones may be beyond the limit: they are paid
    /// back.
    ///
    /// - Parameter now: monotonic milliseconds.
    func didKeepKey(of caller: Caller, now: Int64) {
        guard let rate = rate(of: .key) else { return }
        let (place, bucket) = bucket(of: .key, rate, caller, now: now)
        table[place] = Bucket(left: bucket.left - rate.period, at: now)
    }

    /// A caller's bucket as it is now, and its place in the table.
    private func bucket(
        of resource: Resource, _ rate: Rate, _ caller: some Hashable, now: Int64
    ) -> (place: Int, bucket: Bucket) {
        // The hash has a seed of the process's own, so nobody can choose whose bucket he shares.
        let place = resource.rawValue * Self.buckets + Int(UInt(bitPattern: caller.hashValue) % UInt(Self.buckets))
        guard let bucket = table[place] else { return (place, Bucket(left: rate.full, at: now)) }
        let passed = min(max(0, now - bucket.at), rate.full / rate.number + 1)
        return (place, Bucket(left: min(rate.full, bucket.left + passed * rate.number), at: now))
    }

    /// nil: there is no limit.
    private func rate(of resource: Resource) -> Rate? {
        func each(second number: Int) -> Rate { Rate(number: Int64(number), most: Int64(number) * Self.bucketSeconds) }
        switch resource {
        case .request: return rates.requests == 0 ? nil : each(second: rates.requests)
        case .creation: return rates.creations == 0 ? nil : each(second: rates.creations)
        case .verification: return each(second: Self.verifications)
        case .key:
            let number = Int64(rates.keys)
            return number == 0 ? nil : Rate(number: number, period: rates.keyMilliseconds, most: number)
        }
    }

    /// Takes a request of a caller, or refuses it.
    func takeRequest(of caller: Caller, now: Int64) throws(Problem) {
        if !take(.request, for: caller, now: now) { throw .callerLimit("\(rates.requests) requests a second") }
    }

    /// Takes what a call creates, or refuses it.
    func takeCreation(_ call: ShopCall, of caller: Caller, now: Int64) throws(Problem) {
        if call.request.isCreation, !take(.creation, for: caller, now: now) {
            throw .callerLimit("\(rates.creations) creations a second")
        }
    }

    /// What to tell somebody who is refused before the shop is asked: that was a request, too.
    ///
    /// - Returns: the refusal, or that he has had too many.
    func refusal(_ refusal: Problem, of caller: Caller, now: Int64) -> Problem {
        if refusal.kind == .callerLimit { return refusal }
        do throws(Problem) { try takeRequest(of: caller, now: now) } catch { return error }
        return refusal
    }
}

extension Problem {
    /// - Parameter limit: what the caller had too many of.
    static func callerLimit(_ limit: String) -> Problem {
        Problem(
            .callerLimit, "One caller may have \(limit) here, and you have had them. This was not begun; send it again later.")
    }
}
