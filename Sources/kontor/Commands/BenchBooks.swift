// The books after a load: they decide whether the run has a result.

import Foundation
import KontorBench
import RedisClient

/// Why a run has no result, in words.
struct NoResult: Error, CustomStringConvertible {
    let description: String
}

/// Where the books of the shop under load are.
enum BenchBooks {
    /// `/audit` on the operators' port of the embedded shop, one consistent cut.
    case page(Endpoint)
    /// The Redis stores of the three services. Everything else goes through the gateway's port.
    case stores([RedisOptions])

    /// How long open checkouts, and sums that are read meanwhile, get to settle. Recovery takes 5 s.
    static let patienceSeconds = 30.0
    private static let pauseSeconds = 0.25

    /// Waits until no checkout is open, then audits.
    ///
    /// - Parameter paid: how many orders the caller made, all unpaid, and how many of them must be paid now; nil: there
    ///   are other orders, and this is not checked.
    /// - Returns: the finding, for the report.
    /// - Throws: ``NoResult``.
    func balance(paid: (orders: Int, expected: ClosedRange<Int>)?) throws -> String {
        let end = ContinuousClock.now + .seconds(Self.patienceSeconds)
        var found = try read(until: end)
        while !isAtRest(found), .now < end {
            pause()
            found = try read(until: end)
        }
        if !found.clean {
            let culprits = found.culprits.prefix(5).map { "\n  \($0.finding): \($0.subject): \($0.detail)" }.joined()
            throw NoResult(description: "The books do NOT balance: \(found.culprits.count) findings.\(culprits)")
        }
        if found.openSagas > 0 {
            throw NoResult(
                description: "\(found.openSagas) checkouts are still open \(Int(Self.patienceSeconds)) s after the last answer."
            )
        }
        let paidNow = found.paidOrders - found.receipts
        if let paid, found.orders == paid.orders, !paid.expected.contains(paidNow) {
            throw NoResult(
                description: """
                    \(paidNow) orders are paid, and by the answers it should be \
                    \(paid.expected.lowerBound) to \(paid.expected.upperBound).
                    """)
        }
        return "\(found.accounts) accounts, \(found.orders) orders (\(paidNow) paid), no open checkouts"
    }

    /// Whether the audit's finding is final. Wrong sums of one cut are; those of stores that are read one after the
    /// other are only if nothing changes any more.
    private func isAtRest(_ found: AuditPage) -> Bool {
        switch self {
        case .page: return !found.clean || found.openSagas == 0
        case .stores: return found.clean && found.openSagas == 0
        }
    }

    /// The shop tells nobody when it is at rest, so the command asks again; nothing else runs on its thread.
    private func pause() { Thread.sleep(forTimeInterval: Self.pauseSeconds) }

    private func read(until end: ContinuousClock.Instant) throws -> AuditPage {
        switch self {
        case .page(let endpoint):
            var answer: (status: Int, body: [UInt8])
            do {
                answer = try SimpleClient.ask("GET", "/audit", at: endpoint)
                // Somebody else's audit runs.
                while answer.status == 429, .now < end {
                    pause()
                    answer = try SimpleClient.ask("GET", "/audit", at: endpoint)
                }
            } catch {
                throw NoResult(description: "The books cannot be read: \(error). (--internal-port or --store says where.)")
            }
            guard let page = try? JSONDecoder().decode(AuditPage.self, from: Data(answer.body)) else {
                let text = String(decoding: answer.body.prefix(300), as: UTF8.self)
                throw NoResult(
                    description: "The books cannot be read: GET /audit on port \(endpoint.port): \(answer.status) \(text)")
            }
            return page
        case .stores(let stores):
            do { return AuditPage(try auditStores(stores)) } catch {
                throw NoResult(description: "The books cannot be read: \(error)")
            }
        }
    }
}
