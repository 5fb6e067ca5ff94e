// Heartbeats, where several processes share a store: each process that drives sagas shows that it lives, so that the
// others leave its sagas to it. docs/decisions/0020-takeover-by-heartbeat.md says why this is no lease.

import KontorCore

/// Shows that this process lives, and watches the others.
///
/// The heartbeat of a process is a group of its own without any record, named after the writer of the process's
/// versions: whoever sees a version finds the heartbeat of who wrote it. Each beat gives the group another version.
/// That it changes is all that counts, so no clock but the watcher's own matters.
final class Heartbeats {
    private struct Seen {
        var version: Version
        /// When the version was seen to change last, and when it was read last; monotonic milliseconds.
        var changed: Int64
        var read: Int64
        /// When somebody asked about this process last.
        var wanted: Int64
    }

    private let store: any RecordStore
    private let clock: any ShopClock
    private var isBeating = false
    private var isLooking = false
    private var nextBeat: Int64 = .min
    private var nextLook: Int64 = .min
    private var seen: [UInt64: Seen] = [:]

    init(_ shop: ShopParts) {
        store = shop.store
        clock = shop.clock
    }

    private static func group(of writer: UInt64) -> GroupKey { GroupKey(.order, Identifier(heartbeatOf: writer)) }

    /// - Parameter isDriving: whether this process drives sagas, and reaches what they need. Otherwise it is silent,
    ///   and another process may drive them.
    func tick(now: Int64, isDriving: Bool) {
        if isDriving, !isBeating, now >= nextBeat {
            nextBeat = now + Limits.heartbeatMilliseconds
            beat()
        }
        if !seen.isEmpty, !isLooking, now >= nextLook {
            nextLook = now + Limits.heartbeatMilliseconds
            seen = seen.filter { now - $0.value.wanted < Limits.watchedProcessMilliseconds }
            look(at: seen.keys.sorted())
        }
    }

    /// Gives the heartbeat another version. If that fails, the next beat is soon enough.
    private func beat() {
        isBeating = true
        let group = Self.group(of: store.writer)
        store.load([ReadSet(group)]) { [self] outcomes in
            guard case .success(let found) = outcomes[0] else { return isBeating = false }
            var draft = GroupDraft(group)
            draft.add(.head, found.head)
            draft.rewriteHead()
            store.commit([GroupChange(expected: found.version, draft: draft)]) { [self] _ in isBeating = false }
        }
    }

    /// Begins to watch processes, so that it is known later how long they have been silent.
    func watch(_ writers: Set<UInt64>) {
        let now = clock.monotonicMilliseconds
        var new: [UInt64] = []
        for writer in writers.sorted() where writer != store.writer {
            if seen[writer] != nil {
                seen[writer]?.wanted = now
            } else if seen.count < Limits.watchedProcesses {
                seen[writer] = Seen(version: .absent, changed: now, read: now, wanted: now)
                new.append(writer)
            }
        }
        if !new.isEmpty { look(at: new) }
    }

    private func look(at writers: [UInt64]) {
        guard !writers.isEmpty else { return }
        isLooking = true
        store.load(writers.map { ReadSet(Self.group(of: $0)) }) { [self] outcomes in
            isLooking = false
            let now = clock.monotonicMilliseconds
            for (writer, outcome) in zip(writers, outcomes) {
                guard case .success(let group) = outcome else { continue }
                seen[writer]?.read = now
                if seen[writer]?.version == group.version { continue }
                seen[writer]?.version = group.version
                seen[writer]?.changed = now
            }
        }
    }

    /// Whether a process is silent: it did not show that it lives for as long as a saga may stand still. One whose
    /// heartbeat cannot be read has more time, and one that is not watched yet begins to have it. This process itself
    /// counts as silent: what it has written, and does not drive, nobody else will.
    func isSilent(_ writer: UInt64) -> Bool {
        if writer == store.writer { return true }
        guard let seen = seen[writer] else { return false }
        return seen.read - seen.changed >= Limits.takeoverAgeMilliseconds
            || clock.monotonicMilliseconds - seen.read >= Limits.unreadableHeartbeatMilliseconds
    }

    /// When to ask again whether a process is silent, if it is not now: monotonic milliseconds. By then its time is
    /// over, and its heartbeat was read once more.
    func nextVerdict(on writer: UInt64) -> Int64 {
        let now = clock.monotonicMilliseconds
        let changed = seen[writer]?.changed ?? now
        return max(now, changed + Limits.takeoverAgeMilliseconds) + Limits.heartbeatMilliseconds
    }
}
