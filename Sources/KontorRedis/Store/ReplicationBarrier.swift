// The replication barrier: nothing leaves the process before the replicas have all that the process has read.
//
// What was read may be a write of another process that does not know yet whether it stands: if its master dies, a
// replica without that write may be promoted. So the barrier writes something of its own to each master that was read
// from, and waits for the replicas behind it. They apply writes in order, so whoever has that write has what was read
// before.

import NIOCore
import RedisClient

/// The `WAIT` behind writes, with which replicas acknowledge them.
struct ReplicaWait {
    /// How many replicas of each master must have a write. With 0 nothing is waited for.
    let replicas: Int
    /// The `WAIT`; nil without replicas. It goes behind all that one turn writes to a master.
    let command: RedisCommand?

    init(replicas: Int) {
        self.replicas = replicas
        command =
            replicas > 0
            ? RedisCommand("WAIT", "\(replicas)", "\(RedisStoreLimits.replicasMilliseconds)") : nil
    }

    /// Whether all replicas have what came before the `WAIT`.
    ///
    /// - Parameter replies: Those to a request; the last one is to the `WAIT`.
    func isAcknowledged(_ replies: [RESPValue]) -> Bool {
        guard replicas > 0 else { return true }
        guard let count = replies.last?.int else { return false }
        return count >= replicas
    }
}

/// Knows what was read, and waits until the replicas have it. Lives on the client's event loop.
final class ReplicationBarrier {
    private let client: RedisClient
    private let replicaWait: ReplicaWait
    /// The partitions from whose masters something was read since the last barrier. Only with replicas.
    private var readPartitions: Set<Int> = []
    /// The numbers of the barrier's writes that are not acknowledged by all replicas.
    private var pending: Set<Int> = []
    private var lastNumber = 0
    /// Who waits for all writes up to a number.
    private var waiters: [(through: Int, completion: () -> Void)] = []
    private var isCancelled = false

    init(_ client: RedisClient, _ replicaWait: ReplicaWait) {
        self.client = client
        self.replicaWait = replicaWait
    }

    /// Notes that something was read from the masters of these partitions. In a cluster each partition counts, though
    /// several are on one master: while its slot moves, only a command for the partition itself finds the master that
    /// was read from.
    func didRead(_ partitions: some Sequence<Int>) {
        guard replicaWait.replicas > 0 else { return }
        for partition in partitions { readPartitions.insert(client.isCluster ? partition : 0) }
    }

    /// Waits until the replicas have all that was read so far, in this turn and in earlier ones.
    ///
    /// - Parameter completion: Called later, also if the barrier is cancelled.
    /// - Returns: false if there is nothing to wait for; then the completion is not called.
    func waitForReplicas(_ completion: @escaping () -> Void) -> Bool {
        for partition in readPartitions.sorted() {
            lastNumber += 1
            let number = lastNumber
            pending.insert(number)
            write(partition) { [self] in
                pending.remove(number)
                callWaiters()
            }
        }
        readPartitions = []
        if pending.isEmpty { return false }
        waiters.append((lastNumber, completion))
        return true
    }

    /// Ends all waiting: the store has failed. Writes that are on their way end at their next reply.
    func cancel() { isCancelled = true }

    private func callWaiters() {
        let first = pending.min() ?? .max
        let due = waiters.filter { $0.through < first }
        waiters.removeAll { $0.through < first }
        for waiter in due { waiter.completion() }
    }

    /// Writes until the replicas have it, or the barrier is cancelled.
    private func write(_ partition: Int, completion: @escaping () -> Void) {
        if isCancelled { return completion() }
        client.send(
            [RedisCommand("SET", RedisKeys.replicationBarrier(partition), "")], then: replicaWait.command,
            slot: RedisKeys.slots[partition], lane: .writes, deadline: RedisStoreLimits.callDeadline
        ) { [self] result in
            if case .success(let replies) = result, replies.first?.errorText == nil, replicaWait.isAcknowledged(replies) {
                return completion()
            }
            let pause = TimeAmount.milliseconds(RedisStoreLimits.barrierRetryMilliseconds)
            client.eventLoop.assumeIsolated().scheduleTask(in: pause) { [self] in
                write(partition, completion: completion)
            }
        }
    }
}
