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
        /// What may still be taken, in thousandths: a rate of one a second fills one of them in a millisecond.
        var left: Int64
        /// When that was so, monotonic milliseconds.
        var at: Int64
    }

    /// How long an empty bucket takes to be full, milliseconds: what a caller did not use for longer is lost.
    private static let bucketMilliseconds: Int64 = 2_000
    /// Buckets of each resource: far more than callers that are near a limit. Two callers may share one.
    static let buckets = 4_096
    /// Signatures of strangers that are verified a second for each address: a hundredth of a processor.
    static let verifications = 100

    /// Whether nothing that a call takes is limited.
    let isEmpty: Bool
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
        // The hash has a seed of the process's own, so nobody can choose whose bucket he shares.
        let place = resource.rawValue * Self.buckets + Int(UInt(bitPattern: caller.hashValue) % UInt(Self.buckets))
        let most = rate * Self.bucketMilliseconds
        var bucket = table[place] ?? Bucket(left: most, at: now)
        let passed = min(max(0, now - bucket.at), Self.bucketMilliseconds)
        bucket.left = min(most, bucket.left + passed * rate)
        bucket.at = now
        defer { table[place] = bucket }
        guard bucket.left >= 1_000 else { return false }
        bucket.left -= 1_000
        return true
    }

    /// How many a second; nil: there is no limit.
    private func rate(of resource: Resource) -> Int64? {
        let rate =
            switch resource {
            case .request: rates.requests
            case .creation: rates.creations
            case .verification: Self.verifications
            }
        return rate == 0 ? nil : Int64(rate)
    }

    /// Takes what a call needs, or refuses it.
    func take(_ call: ShopCall, from address: NetworkAddress?, now: Int64) throws(Problem) {
        let caller = Caller(call.principal, address)
        try takeRequest(of: caller, now: now)
        if call.request.isCreation, !take(.creation, for: caller, now: now) {
            throw .callerLimit("\(rates.creations) creations a second")
        }
    }

    /// What to tell somebody who may not ask for what he asked for: that was a request, too.
    ///
    /// - Parameter principal: nil: nobody knows him.
    /// - Returns: the refusal, or that he has had too many.
    func refusal(_ refusal: Problem, of principal: Principal? = nil, from address: NetworkAddress?, now: Int64) -> Problem {
        do throws(Problem) { try takeRequest(of: Caller(principal, address), now: now) } catch { return error }
        return refusal
    }

    private func takeRequest(of caller: Caller, now: Int64) throws(Problem) {
        if !take(.request, for: caller, now: now) { throw .callerLimit("\(rates.requests) requests a second") }
    }

    private struct Caller: Hashable {
        let name: String?
        let address: NetworkAddress?

        init(_ principal: Principal?, _ address: NetworkAddress?) {
            name = principal?.name
            self.address = principal == nil ? address : nil
        }
    }
}

extension Problem {
    /// - Parameter limit: what the caller had too many of.
    static func callerLimit(_ limit: String) -> Problem {
        Problem(
            .callerLimit, "One caller may have \(limit) here, and you have had them. This was not begun; send it again later.")
    }
}
