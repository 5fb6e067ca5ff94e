// What one engine did: sizes of its batches, the most that ever waited, and, of a ledger's engine, the sums that prove that
// no amount was created or lost.

import CoreMetrics
import KontorCore

/// Watches one engine. Confined to the shop's serial domain.
final class EngineMetrics {
    private let batchCommands: Recorder
    private let mailboxPeak: Gauge
    private var peak = 0
    private var books: Books?

    /// A ledger's running sums, and where they are shown.
    private struct Books {
        var sums = LedgerSums()
        let deposited, withdrawn, captured, balance, held, error: Gauge
    }

    /// - Parameters:
    ///   - engine: its name in the metrics.
    ///   - isLedger: its groups are accounts, to be summed up.
    init(_ factory: any MetricsFactory = NOOPMetricsHandler.instance, engine: String = "", isLedger: Bool = false) {
        let labels = [("engine", engine)]
        batchCommands = Recorder(label: "kontor_engine_batch_commands", dimensions: labels, factory: factory)
        mailboxPeak = Gauge(label: "kontor_engine_mailbox_peak", dimensions: labels, factory: factory)
        guard isLedger else { return }
        func gauge(_ name: String) -> Gauge { Gauge(label: name, dimensions: [("ledger", engine)], factory: factory) }
        books = Books(
            deposited: gauge("kontor_ledger_deposited"), withdrawn: gauge("kontor_ledger_withdrawn"),
            captured: gauge("kontor_ledger_captured"), balance: gauge("kontor_ledger_balance"),
            held: gauge("kontor_ledger_held"), error: gauge("kontor_conservation_error"))
    }

    /// Whether ``committed(from:to:)`` is wanted.
    var isSumming: Bool { books != nil }

    func began(batchOf commands: Int, waiting: Int) {
        batchCommands.record(commands)
        if waiting > peak { peak = waiting }
    }

    /// A group's head was committed: as it was loaded, and as it was written.
    func committed(from before: Record?, to after: Record?) { books?.sums.add(from: before, to: after) }

    /// To be called once a second.
    func publish() {
        mailboxPeak.record(peak)
        peak = 0
        guard let books else { return }
        books.deposited.record(books.sums.deposited)
        books.withdrawn.record(books.sums.withdrawn)
        books.captured.record(books.sums.captured)
        books.balance.record(books.sums.balance)
        books.held.record(books.sums.held)
        books.error.record(books.sums.error)
    }
}

/// How the sums over all accounts of a ledger have changed since the start, added up from the accounts before and after each
/// commit: independent of the rules that changed them.
///
/// The sums wrap around rather than trap: a proof must not end the shop, and ``error`` is exact all the same.
public struct LedgerSums: Hashable, Sendable {
    /// By how much all deposits have risen.
    public private(set) var deposited: Int64 = 0
    /// By how much all withdrawals have risen.
    public private(set) var withdrawn: Int64 = 0
    /// By how much all captures have risen.
    public private(set) var captured: Int64 = 0
    /// By how much all balances have risen.
    public private(set) var balance: Int64 = 0
    /// By how much all that is held has risen.
    public private(set) var held: Int64 = 0

    public init() {}

    /// What was created (or lost, if negative); anything but 0 is a bug.
    public var error: Int64 { deposited &- withdrawn &- captured &- balance }

    /// Takes one commit: an account's record before and after it; nil: there was none, or is none.
    public mutating func add(from before: Record?, to after: Record?) {
        if case .account(let account)? = after { add(account, +1) }
        if case .account(let account)? = before { add(account, -1) }
    }

    private mutating func add(_ account: Account, _ sign: Int64) {
        deposited &+= sign &* account.deposited.raw
        withdrawn &+= sign &* account.withdrawn.raw
        captured &+= sign &* account.captured.raw
        balance &+= sign &* account.balance.raw
        held &+= sign &* account.held.raw
    }
}
