// Writing: one script call a batch, with WAIT behind it where replicas must have it, and what their replies mean.

import KontorCore
import KontorService
import NIOCore

extension RedisStore {
    public func commit(_ changes: [GroupChange], completion: @escaping ([CommitOutcome]) -> Void) {
        let batches = batches(changes) { Partition.of($0.group.id) }
        let versions = changes.map { _ in nextVersion() }
        var outcomes = [CommitOutcome](repeating: .conflict, count: changes.count)
        var pending = batches.count
        let now = clock.wallMilliseconds
        for batch in batches {
            var call = CommitCall()
            for member in batch.members { call.add(changes[member.index], member.partition, versions[member.index], now: now) }
            send(call, to: batch.partition) { [self] result in
                for (place, member) in batch.members.enumerated() {
                    let index = member.index
                    outcomes[index] = outcome(result, place, versions[index])
                    remember(changes[index], versions[index], outcomes[index])
                }
                pending -= 1
                if pending == 0 { post { [outcomes] in completion(outcomes) } }
            }
        }
    }

    private func remember(_ change: GroupChange, _ version: Version, _ outcome: CommitOutcome) {
        if outcome == .committed { remembered.committed(change, as: version) } else { remembered.forget(change.group) }
    }

    /// One call a unit: the client sends a unit again if its first command was not executed, so no other one may have an effect.
    private func send(
        _ call: CommitCall, to partition: Int, isLoaded: Bool = true,
        completion: @escaping (Result<[RESPValue], RedisFailure>) -> Void
    ) {
        let command = call.command(epoch: epoch, key: RedisKeys.epoch(partition), isLoaded: isLoaded)
        client.send([command], then: waitCommand, slot: RedisKeys.slots[partition], lane: .writes, deadline: deadline) {
            [self] result in
            // The server has restarted, or is another one: it has not run, and the script's text goes along.
            if isLoaded, case .success(let replies) = result, replies.first?.errorText?.hasPrefix("NOSCRIPT") == true {
                send(call, to: partition, isLoaded: false, completion: completion)
            } else {
                completion(result)
            }
        }
    }

    /// Behind all that a turn writes to a master.
    var waitCommand: RedisCommand? {
        guard options.replicas > 0 else { return nil }
        return RedisCommand("WAIT", "\(options.replicas)", "\(RedisStoreLimits.replicasMilliseconds)")
    }

    /// Whether all replicas have what came before the `WAIT` that ends a unit.
    func isReplicated(_ replies: [RESPValue]) -> Bool {
        guard options.replicas > 0 else { return true }
        guard let count = replies.last?.int else { return false }
        return count >= options.replicas
    }

    private func outcome(
        _ result: Result<[RESPValue], RedisFailure>, _ place: Int, _ version: Version
    ) -> CommitOutcome {
        switch result {
        case .failure(.notSent(let reason)): return .refused(.unreachable(reason))
        case .failure(.unknown): return .unknown(version)
        case .success(let replies):
            guard let first = replies.first else { return .unknown(version) }
            if let error = first.errorText { return outcome(ofError: error, version) }
            guard let written = first.bytes?.readableBytesView, place < written.count else {
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
        default: return .unknown(version)
        }
    }

    // MARK: The barrier

    /// Nothing leaves the process before the replicas have all that it has read: others may have written that, and not know yet whether
    /// it stands. A write of our own, on a connection of the master that was read from, and `WAIT` behind it tell.
    public func barrier(_ completion: @escaping (Result<Void, DurabilityFailure>) -> Void) {
        if let failure { return completion(.failure(failure)) }
        for partition in readPartitions.sorted() {
            fenceNumber += 1
            let number = fenceNumber
            fences.insert(number)
            fence(partition) { [self] in
                fences.remove(number)
                tellFenceWaiters()
            }
        }
        readPartitions = []
        if fences.isEmpty { return completion(.success(())) }
        // Also for those of earlier turns: this one has seen what they are about.
        fenceWaiters.append(
            (
                fenceNumber,
                { [self] in post { [self] in completion(failure.map { .failure($0) } ?? .success(())) } }
            ))
    }

    private func tellFenceWaiters() {
        let first = fences.min() ?? .max
        let due = fenceWaiters.filter { $0.through < first }
        fenceWaiters.removeAll { $0.through < first }
        for waiter in due { waiter.tell() }
    }

    /// Tries until the replicas have it, or the store has failed.
    private func fence(_ partition: Int, completion: @escaping () -> Void) {
        if failure != nil { return completion() }
        let unit = [RedisCommand("SET", RedisKeys.fence(partition), "")]
        client.send(unit, then: waitCommand, slot: RedisKeys.slots[partition], lane: .writes, deadline: deadline) {
            [self] result in
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

    /// Remembers what the next barrier must wait for: in a cluster each partition, since while its slot moves only its own command finds
    /// the master that was read from.
    func note(read partitions: some Sequence<Int>) {
        guard options.replicas > 0 else { return }
        for partition in partitions { readPartitions.insert(client.isCluster ? partition : 0) }
    }
}
