// The metrics of one engine: the sizes of its batches, the longest queue, and, for a ledger's engine, the sums that
// prove that no amount was created or lost.

import CoreMetrics
import KontorCore

/// Measures one engine. Confined to the shop's serial domain.
final class EngineMetrics {
    private let batchCommands: Recorder
    private let mailboxPeak: Gauge
    /// Copies of commands that waited already, which were dropped because the engine was behind.
    let copies: Counter
    private var peak = 0
    private var books: Books?

    /// A ledger's running sums, and the gauges that show them.
    private struct Books {
        var sums = LedgerSums()
        let deposited, withdrawn, captured, refunded, balance, held, error: Gauge
    }

    /// - Parameters:
    ///   - engine: its name in the metrics.
    ///   - isLedger: whether its groups are accounts, to be summed up.
    init(_ factory: any MetricsFactory = NOOPMetricsHandler.instance, engine: String = "", isLedger: Bool = false) {
        let labels = [("engine", engine)]
        batchCommands = Recorder(label: "kontor_engine_batch_commands", dimensions: labels, factory: factory)
        copies = Counter(label: "kontor_engine_copies", dimensions: labels, factory: factory)
        mailboxPeak = Gauge(label: "kontor_engine_mailbox_peak", dimensions: labels, factory: factory)
        guard isLedger else { return }
        func gauge(_ name: String) -> Gauge { Gauge(label: name, dimensions: [("ledger", engine)], factory: factory) }
        books = Books(
            deposited: gauge("kontor_ledger_deposited"), withdrawn: gauge("kontor_ledger_withdrawn"),
            captured: gauge("kontor_ledger_captured"), refunded: gauge("kontor_ledger_refunded"),
            balance: gauge("kontor_ledger_balance"), held: gauge("kontor_ledger_held"),
            error: gauge("kontor_conservation_error"))
    }

    /// Whether ``committed(from:to:)`` must be called.
    var isSumming: Bool { books != nil }

    func began(batchOf commands: Int, waiting: Int) {
        batchCommands.record(commands)
        if waiting > peak { peak = waiting }
    }

    /// Adds the commit of a group's head: as it was loaded, and as it was written.
    func committed(from before: Record?, to after: Record?) { books?.sums.add(from: before, to: after) }

    /// Sets the gauges. To be called once a second.
    func publish() {
        mailboxPeak.record(peak)
        peak = 0
        guard let books else { return }
        books.deposited.record(books.sums.deposited)
        books.withdrawn.record(books.sums.withdrawn)
        books.captured.record(books.sums.captured)
        books.refunded.record(books.sums.refunded)
        books.balance.record(books.sums.balance)
        books.held.record(books.sums.held)
        books.error.record(books.sums.error)
    }
}

/// The changes of a ledger's sums over all accounts since the start, added up from the accounts before and after each
/// commit, without the rules that changed them.
///
/// The sums wrap around: a proof must not end the shop, and ``error`` stays exact.
public struct LedgerSums: Hashable, Sendable {
    /// By how much all deposits have risen.
    public private(set) var deposited: Int64 = 0
    /// By how much all withdrawals have risen.
    public private(set) var withdrawn: Int64 = 0
    /// By how much all captures have risen.
    public private(set) var captured: Int64 = 0
    /// By how much all refunds have risen.
    public private(set) var refunded: Int64 = 0
    /// By how much all balances have risen.
    public private(set) var balance: Int64 = 0
    /// By how much all that is held has risen.
    public private(set) var held: Int64 = 0

    public init() {}

    /// The amount that was created or, if negative, lost. Anything but 0 is a bug.
    public var error: Int64 { deposited &- withdrawn &- captured &+ refunded &- balance }

    /// Adds one commit: an account's record before and after it; nil: there was none, or it was removed.
    public mutating func add(from before: Record?, to after: Record?) {
        if case .account(let account)? = after { add(account, +1) }
        if case .account(let account)? = before { add(account, -1) }
    }

    private mutating func add(_ account: Account, _ sign: Int64) {
        deposited &+= sign &* account.deposited.raw
        withdrawn &+= sign &* account.withdrawn.raw
        captured &+= sign &* account.captured.raw
        refunded &+= sign &* account.refunded.raw
        balance &+= sign &* account.balance.raw
        held &+= sign &* account.held.raw
    }
}
