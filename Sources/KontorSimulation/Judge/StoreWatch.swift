// Remembers what was committed, and compares it with what is read. After a crash a store must have everything that was
// durable, and of the rest everything up to some commit.

import KontorCore
import KontorService

/// The committed amounts of one account, moment by moment.
struct Amounts {
    private struct Entry {
        let time: Int64
        let balance: Int64
        let commit: Int
    }

    private var entries: [Entry] = []

    mutating func add(_ balance: Int64, at time: Int64, commit: Int) {
        if entries.last?.balance != balance { entries.append(Entry(time: time, balance: balance, commit: commit)) }
    }

    /// Removes the commits that a crash took back.
    mutating func remove(commitsFrom first: Int) {
        entries.removeAll { $0.commit >= first }
    }

    /// The amounts that stood at some moment from `start` to `end`.
    func standing(from start: Int64, to end: Int64) -> [Int64] {
        entries.indices.filter { index in
            let until = index + 1 < entries.count ? entries[index + 1].time : .max
            return entries[index].time <= end && until >= start
        }.map { entries[$0].balance }
    }
}

extension [GroupKey: Amounts] {
    mutating func remember(_ record: Record?, _ group: GroupKey, at time: Int64, commit: Int) {
        guard case .account(let account)? = record else { return }
        self[group, default: Amounts()].add(account.balance.raw, at: time, commit: commit)
    }
}

/// The reference that one store is compared with.
final class StoreWatch {
    /// What a crash may have left of one record, by the number of commits that survived.
    private struct Doubt {
        let crash: Crash
        /// The possible values, each with the numbers of the last surviving commit that it implies.
        let possible: [(record: Record?, range: Range<Int>)]
    }

    /// The last commit that survived a crash, as far as is known.
    private final class Crash {
        let time: Int64
        var survivors: Range<Int>

        init(time: Int64, survivors: Range<Int>) {
            self.time = time
            self.survivors = survivors
        }
    }

    private struct Write {
        let commit: Int
        let key: RecordKey
        let record: Record?
    }

    private var records: [RecordKey: Record] = [:]
    /// The commits that are not known to be durable, oldest first, with what the records may have been before them: one
    /// that nobody has read since a crash may have been several.
    private var undurable: [(write: Write, before: [Record?])] = []
    private var doubts: [RecordKey: Doubt] = [:]
    private(set) var commits = 0
    private(set) var amounts: [GroupKey: Amounts] = [:]
    private let sagas: SagaWatch
    private let scheduler: Scheduler
    private let violation: (String) -> Void
    private let trace: Trace

    init(_ world: Surroundings, _ sagas: SagaWatch) {
        self.sagas = sagas
        scheduler = world.scheduler
        trace = world.trace
        violation = world.violation
    }

    var hasUndurable: Bool { !undurable.isEmpty }

    /// When the last of the reservations that stand is over, milliseconds since 1970; nil: none stands.
    var reservedUntil: Int64? { records.values.lazy.compactMap(\.reservedUntil).max() }

    func committed(_ change: GroupChange) {
        commits += 1
        sagas.committed(change)
        change.draft.forEachChange { member, record in
            let key = RecordKey(change.group, member)
            if case .key = member { return }
            let before = doubts[key]?.possible.map(\.record) ?? [records[key]]
            undurable.append((Write(commit: commits, key: key, record: record), before))
            records[key] = record
            doubts[key] = nil
            note(key, record)
            if member == .head { amounts.remember(record, change.group, at: scheduler.now, commit: commits) }
        }
    }

    /// Notes that all commits up to this number are durable.
    func durable(through commit: Int) {
        undurable.removeAll { $0.write.commit <= commit }
    }

    /// Compares a record that was read with what was committed.
    func loaded(_ key: RecordKey, _ record: Record?) {
        if case .key = key.member { return }
        sagas.note(key, record)
        if let doubt = doubts.removeValue(forKey: key) { resolve(key, record, doubt) }
        guard records[key] != record else { return }
        violation(
            "\(key.group), \(key.member.text): it was read as \(Self.text(record)), and committed as \(Self.text(records[key]))"
        )
        records[key] = record
    }

    /// Notes a crash of the process or the machine.
    func crash() {
        sagas.crash()
        guard let first = undurable.first?.write.commit else { return }
        let all = (first - 1)..<(commits + 1)
        let crash = Crash(time: scheduler.now, survivors: all)
        var possible: [RecordKey: [(record: Record?, range: Range<Int>)]] = [:]
        for (write, before) in undurable {
            let values = possible[write.key] ?? before.map { ($0, all) }
            possible[write.key] =
                values.filter { $0.range.lowerBound < write.commit }.map { record, range in
                    (record, range.clamped(to: range.lowerBound..<write.commit))
                } + [(write.record, write.commit..<all.upperBound)]
        }
        for (key, values) in possible {
            doubts[key] = Doubt(crash: crash, possible: values)
            if key.member == .head { amounts[key.group]?.remove(commitsFrom: first) }
        }
        undurable = []
    }

    private func resolve(_ key: RecordKey, _ record: Record?, _ doubt: Doubt) {
        let matching = doubt.possible.filter { $0.record == record }
        guard let low = matching.map(\.range.lowerBound).min(), let high = matching.map(\.range.upperBound).max() else {
            return violation(
                "\(key.group), \(key.member.text): after a crash it is \(Self.text(record)), which it never was since the last sync"
            )
        }
        let crash = doubt.crash
        let survivors = crash.survivors.clamped(to: low..<high)
        if survivors.isEmpty {
            violation("\(key.group), \(key.member.text): a crash kept a commit and lost an earlier one")
        } else {
            crash.survivors = survivors
        }
        records[key] = record
        if key.member == .head { amounts.remember(record, key.group, at: crash.time, commit: commits) }
    }

    private func note(_ key: RecordKey, _ record: Record?) {
        trace.note("store", "\(key.group) \(key.member.text): \(Self.text(record))")
    }

    static func text(_ record: Record?) -> String {
        switch record {
        case nil: return "nothing"
        case .account(let account)?:
            return
                "balance \(account.balance.raw), held \(account.held.raw), reserved \(account.reserved.raw), in \(account.deposited.raw), "
                + "out \(account.withdrawn.raw), sold \(account.captured.raw), refunded \(account.refunded.raw)"
        case .hold(let hold)?:
            return "\(hold.state.text) \(hold.amount.raw)\(hold.reservedUntil == 0 ? "" : ", reserved")"
        case .payment(let payment)?: return "paid \(payment.amount.raw)\(payment.isCancelled ? ", cancelled" : "")"
        case .order(let order)?: return "\(order.status.text), attempt \(order.attempt), total \(order.total.raw)"
        case .saga(let saga)?: return "attempt \(saga.id.attempt) \(saga.phase.text)"
        case .key?: return "a key"
        case .trail?: return "an entry of the trail"
        case .refund(let refund)?: return "refund of \(refund.amount.raw)\(refund.finished == nil ? "" : ", finished")"
        case .marker(let marker)?: return "credited \(marker.amount.raw)\(marker.isForgotten ? ", over" : "")"
        case .listed?: return "an entry of the lists"
        }
    }
}

// These texts are written out: interpolating an enum looks its name up at run time, and a trace has a hundred thousand
// of them a second.

extension Hold.State {
    var text: String {
        switch self {
        case .held: "held"
        case .captured: "captured"
        case .released: "released"
        }
    }
}

extension Order.Status {
    var text: String {
        switch self {
        case .open: "open"
        case .checkingOut: "checking out"
        case .paid: "paid"
        case .removed: "removed"
        case .reserved: "reserved"
        }
    }
}

extension SagaRecord.Phase {
    var text: String {
        switch self {
        case .holdingTogether: "holds together"
        case .holdingInOrder: "holds in order"
        case .retrying: "retries"
        case .committed: "committed"
        case .aborted: "aborted"
        case .reserved: "reserved"
        }
    }
}

extension Member {
    var text: String {
        switch self {
        case .head: "head"
        case .saga: "saga"
        case .hold(let saga): "hold of \(saga.order) \(saga.attempt)"
        case .payment(let order): "payment for \(order)"
        case .key: "key"
        case .receipt: "receipt"
        case .trail: "trail"
        case .refund(let id): "refund \(id.number) of \(id.order)"
        case .refunded(let id): "finished refund \(id.number) of \(id.order)"
        case .listed(let entry): "listed at \(entry.created)"
        case .due(let time): "due at \(time)"
        }
    }
}

extension Record {
    /// When a reservation of the order is over: milliseconds since 1970; nil: it is not reserved.
    var reservedUntil: Int64? { if case .order(let order) = self { order.reservedUntil } else { nil } }
}
