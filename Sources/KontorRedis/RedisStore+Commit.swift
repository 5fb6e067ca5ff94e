// Writing: one script call a batch, with WAIT behind it where replicas must have it, and what their replies mean.

import KontorCore
import KontorService
import NIOCore

extension RedisStore {
    /// Calls to one master, and which changes each of them has.
    private struct Delivery {
        var partition: Int
        var calls: [(call: CommitCall, indices: [Int])] = []
    }

    public func commit(_ changes: [GroupChange], completion: @escaping ([CommitOutcome]) -> Void) {
        let versions = changes.map { _ in nextVersion() }
        var outcomes = [CommitOutcome](repeating: .conflict, count: changes.count)
        let deliveries = deliveries(changes, versions)
        var pending = deliveries.count
        for delivery in deliveries {
            send(delivery) { [self] indices, outcome in
                for (place, index) in indices.enumerated() {
                    outcomes[index] = outcome(place, versions[index])
                    remember(changes[index], versions[index], outcomes[index])
                }
            } completion: { [self] in
                pending -= 1
                if pending == 0 { post { [outcomes] in completion(outcomes) } }
            }
        }
    }

    private func remember(_ change: GroupChange, _ version: Version, _ outcome: CommitOutcome) {
        if outcome == .committed { remembered.committed(change, as: version) } else { remembered.forget(change.group) }
    }

    /// In a cluster a call has one slot's groups; and all calls to one master go together, so that they wait for its replicas once.
    private func deliveries(_ changes: [GroupChange], _ versions: [Version]) -> [Delivery] {
        let now = clock.wallMilliseconds
        var deliveries: [Delivery] = []
        for batch in batches(changes, { Partition.of($0.group.id) }) {
            var call = CommitCall(epoch: epoch, epochKey: RedisKeys.epoch(batch.partition))
            for member in batch.members { call.add(changes[member.index], member.partition, versions[member.index], now: now) }
            let entry = (call, batch.members.map(\.index))
            let master = client.master(ofSlot: RedisKeys.slots[batch.partition])
            if let index = deliveries.firstIndex(where: { client.master(ofSlot: RedisKeys.slots[$0.partition]) == master }) {
                deliveries[index].calls.append(entry)
            } else {
                deliveries.append(Delivery(partition: batch.partition, calls: [entry]))
            }
        }
        return deliveries
    }

    /// - Parameters:
    ///   - tell: gets the outcomes of each call, as a function of the place in it.
    private func send(
        _ delivery: Delivery, isLoaded: Bool = true,
        tell: @escaping ([Int], (Int, Version) -> CommitOutcome) -> Void, completion: @escaping () -> Void
    ) {
        var unit = delivery.calls.map { $0.call.command(isLoaded: isLoaded) }
        if options.replicas > 0 { unit.append(waitCommand) }
        let slot = RedisKeys.slots[delivery.partition]
        client.send(unit, slot: slot, lane: .writes, deadline: deadline) { [self] result in
            var again = Delivery(partition: delivery.partition)
            for (number, (call, indices)) in delivery.calls.enumerated() {
                // The server has restarted, or is another one: it has not run, and the script's text goes along.
                if isLoaded, case .success(let replies) = result, replies[number].errorText?.hasPrefix("NOSCRIPT") == true {
                    again.calls.append((call, indices))
                } else {
                    tell(indices) { outcome(result, call: number, $0, $1) }
                }
            }
            if again.calls.isEmpty { return completion() }
            send(again, isLoaded: false, tell: tell, completion: completion)
        }
    }

    var waitCommand: RedisCommand {
        RedisCommand("WAIT", "\(options.replicas)", "\(RedisStoreLimits.replicasMilliseconds)")
    }

    /// Whether all replicas have what came before the `WAIT` that ends a unit.
    func isReplicated(_ replies: [RESPValue]) -> Bool {
        guard options.replicas > 0 else { return true }
        guard let count = replies.last?.int else { return false }
        return count >= options.replicas
    }

    private func outcome(
        _ result: Result<[RESPValue], RedisFailure>, call number: Int, _ place: Int, _ version: Version
    ) -> CommitOutcome {
        switch result {
        case .failure(.notSent(let reason)): return .refused(.unreachable(reason))
        case .failure(.unknown): return .unknown(version)
        case .success(let replies):
            guard number < replies.count else { return .unknown(version) }
            if let error = replies[number].errorText { return outcome(ofError: error, version) }
            guard let written = replies[number].bytes?.readableBytesView, place < written.count else {
                return .unknown(version)
            }
            if written[written.startIndex + place] == UInt8(ascii: "0") { return .conflict }
            return isReplicated(replies) ? .committed : .unknown(version)
        }
    }

    private func outcome(ofError error: String, _ version: Version) -> CommitOutcome {
        let trouble = StoreTrouble.unreachable(error)
        noteIfForeign(trouble)
        switch error.prefix(while: { $0 != " " }) {
        // All of these come before the script's first write.
        case "OOM": return .refused(.diskFull)
        case "EPOCH", "MISCONF", "NOREPLICAS", "NOPERM": return .refused(trouble)
        // Its slot is elsewhere, or on its way: the look before the next try finds out where.
        case "MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN", "READONLY", "LOADING", "MASTERDOWN": return .conflict
        default: return .unknown(version)
        }
    }

    // MARK: The barrier

    /// Nothing leaves the process before the replicas have all that it has read: others may have written that, and not know yet whether
    /// it stands. A write of our own, on a connection of the master that was read from, and `WAIT` behind it tell.
    public func barrier(_ completion: @escaping (Result<Void, DurabilityFailure>) -> Void) {
        if let failure { return completion(.failure(failure)) }
        let partitions = readPartitions
        readPartitions = []
        guard !partitions.isEmpty else { return completion(.success(())) }
        var pending = partitions.count
        for partition in partitions.sorted() {
            fence(partition) { [self] in
                pending -= 1
                guard pending == 0 else { return }
                post { [self] in completion(failure.map { .failure($0) } ?? .success(())) }
            }
        }
    }

    /// Tries until the replicas have it, or the store has failed.
    private func fence(_ partition: Int, completion: @escaping () -> Void) {
        if failure != nil { return completion() }
        let unit = [RedisCommand("SET", RedisKeys.fence(partition), ""), waitCommand]
        client.send(unit, slot: RedisKeys.slots[partition], lane: .writes, deadline: deadline) { [self] result in
            if case .success(let replies) = result, replies.first?.errorText == nil, isReplicated(replies) {
                completion()
            } else {
                client.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(RedisStoreLimits.fencePauseMilliseconds)) {
                    [self] in
                    fence(partition, completion: completion)
                }
            }
        }
    }

    /// Remembers what the next barrier must wait for: of each master one partition will do.
    func note(read partitions: some Sequence<Int>) {
        guard options.replicas > 0 else { return }
        for partition in partitions { readPartitions.insert(client.isCluster ? partition : 0) }
    }
}

/// The keys and arguments of one call of ``CommitScript``.
struct CommitCall {
    private var keys: [String]
    private var arguments: [[UInt8]]

    init(epoch: [UInt8], epochKey: String) {
        keys = [epochKey]
        arguments = [epoch]
    }

    mutating func add(_ change: GroupChange, _ partition: Int, _ version: Version, now: Int64) {
        let head = RedisKeys.head(change.group, partition)
        var changedHead: Record??
        var names: [String] = []
        var values: [[UInt8]] = []
        var hasOpenWork = false
        change.draft.forEachChange { member, record in
            if member == .head { return changedHead = .some(record) }
            names.append(RedisKeys.member(member, ofHead: head))
            values.append(how(member, record, mustBeNew: change.absent.contains(member), now: now))
            values.append(record.map(RecordBytes.bytes) ?? [])
            if member.isOpenWork { hasOpenWork = true }
        }
        keys.append(head)
        if hasOpenWork { keys.append(RedisKeys.open(change.group.kind, partition)) }
        keys += names
        var mode: [UInt8]
        var value = RecordBytes.bytes(version)
        switch changedHead {
        case .some(.some(let record)):
            mode = [UInt8(ascii: "h")]
            value += RecordBytes.bytes(record)
        case .some(.none): mode = [UInt8(ascii: "e")]
        case .none:
            let isHeadless = change.draft.contains(.head) && change.draft[.head] == nil
            mode = [UInt8(ascii: isHeadless ? "e" : "v")]
        }
        if hasOpenWork { mode.append(UInt8(ascii: "x")) }
        arguments += [RecordBytes.bytes(change.expected), mode, value, Array("\(names.count)".utf8)]
        arguments += values
    }

    /// What happens to a member's record, in the script's letters.
    private func how(_ member: Member, _ record: Record?, mustBeNew: Bool, now: Int64) -> [UInt8] {
        let open = !member.isOpenWork ? "." : record?.isLock == true ? "+" : "-"
        guard let record else { return Array("d\(open)".utf8) }
        let left = record.removableFrom.map { "\(max(1, $0 - now))" } ?? ""
        return Array("\(mustBeNew ? "n" : "s")\(open)\(left)".utf8)
    }

    func command(isLoaded: Bool) -> RedisCommand {
        let framing = 12
        let bytes = keys.reduce(0) { $0 + $1.utf8.count + framing } + arguments.reduce(0) { $0 + $1.count + framing }
        var command = RedisCommand(
            isLoaded ? "EVALSHA" : "EVAL", argumentCount: 2 + keys.count + arguments.count, capacity: bytes + 128)
        command.append(isLoaded ? CommitScript.digest : CommitScript.source)
        command.append("\(keys.count)")
        for key in keys { command.append(key) }
        for argument in arguments { command.append(argument) }
        return command
    }
}
