// Which masters may be used, and why the others may not. One that is away, whose replicas do not confirm, or that is
// set up wrongly, is left alone: its own keys are refused at once, and nobody else waits for it.

import KontorCore
import KontorService
import NIOCore
import RedisClient

/// Looks at each master once a second, more often while it is in trouble. Lives on the client's event loop.
final class ShardWatch {
    private struct Shard {
        /// Why it is not used; nil while it is.
        var trouble: String?
        /// Whether what it replies counts: it was examined since it was reached, and is set up rightly.
        var isTrusted: Bool
        /// Whether little memory is left.
        var isFull = false
        /// When it is looked at again, on the clock of ``tick(now:)``.
        var nextLook: Int64 = .min
        /// When the look began that has no answer yet; nil if there is none.
        var lookBegan: Int64?
        /// The number of the latest look: an answer to an older one tells nothing.
        var look = 0
    }

    private let client: RedisClient
    private let replicaWait: ReplicaWait
    private var shards: [RedisAddress: Shard] = [:]
    private var now: Int64 = .min
    /// For each partition why it is refused, and whether replies about it count. Empty while all masters are well.
    private var partitions: [(refusal: StoreError?, isTrusted: Bool)] = []

    /// - Parameter client: A client whose masters have been examined.
    init(_ client: RedisClient, _ replicaWait: ReplicaWait) {
        self.client = client
        self.replicaWait = replicaWait
        for master in client.masters { shards[master] = Shard(isTrusted: true) }
    }

    // MARK: What follows for the store

    /// Why the groups of a partition cannot be read or written now; nil if they can.
    func refusal(of partition: Int) -> StoreError? { partitions.isEmpty ? nil : partitions[partition].refusal }

    /// Whether what the master of a partition replies counts.
    func isTrusted(_ partition: Int) -> Bool { partitions.isEmpty ? true : partitions[partition].isTrusted }

    /// Whether some master has little memory left.
    private(set) var isFull = false

    /// Whether any master can be used.
    var isUsable: Bool { shards.values.contains { $0.trouble == nil } }

    /// The masters that are not used, and why.
    var troubles: [StoreTrouble] {
        shards.compactMap { address, shard in
            shard.trouble.map { StoreTrouble(.shard, "\(address)", $0) }
        }.sorted { $0.part < $1.part }
    }

    // MARK: What happens

    /// The replicas did not confirm what a request wrote or read. What was sent behind it would only wait as long.
    func didNotConfirm(_ partition: Int, _ reason: String) {
        guard let master = client.master(of: RedisKeys.slots[partition]), shards[master]?.trouble == nil else { return }
        set(master) { $0.trouble = reason }
        client.reset(master, reason)
    }

    /// A master was reached again. It may have been restarted with other settings: it counts once it was examined.
    func didReconnect(_ master: RedisAddress) {
        guard shards[master] != nil else { return topologyDidChange() }
        set(master) {
            $0.isTrusted = false
            $0.trouble = $0.trouble ?? "it was reached again, and is being examined"
        }
        look(at: master)
    }

    /// Slots have other masters, or there are others.
    func topologyDidChange() {
        let masters = client.masters
        shards = shards.filter { masters.contains($0.key) }
        let new = masters.filter { shards[$0] == nil }
        for master in new { shards[master] = Shard(trouble: "it is new, and is being examined", isTrusted: false) }
        update()
        for master in new { look(at: master) }
    }

    /// Does what is due by time.
    func tick(now: Int64) {
        let isFirst = self.now == .min
        self.now = now
        for (master, shard) in shards {
            if isFirst, shard.lookBegan != nil {
                shards[master]?.lookBegan = now
            } else if let began = shard.lookBegan {
                guard now - began >= RedisStoreLimits.lookPatienceMilliseconds else { continue }
                set(master) {
                    $0.trouble = "it has not answered for \(now - began) ms"
                    $0.lookBegan = nil
                    $0.look += 1
                    $0.nextLook = now + RedisStoreLimits.troubledLookMilliseconds
                }
            } else if now >= shard.nextLook {
                look(at: master)
            }
        }
    }

    private func look(at master: RedisAddress) {
        guard var shard = shards[master] else { return }
        shard.look += 1
        shard.lookBegan = now
        shards[master] = shard
        let number = shard.look
        client.send(
            MasterExamination.commands, then: replicaWait.command, to: master,
            deadline: .now() + .milliseconds(RedisStoreLimits.lookPatienceMilliseconds)
        ) { [weak self] result in
            guard let self, shards[master]?.look == number else { return }
            set(master) { [replicaWait, now] shard in
                shard.lookBegan = nil
                switch result {
                case .failure(let error): shard.trouble = error.reason
                case .success(let replies):
                    let wrong = MasterExamination.trouble(in: replies, at: master, replicaWait.rule)
                    shard.isTrusted = wrong == nil
                    shard.trouble = wrong?.description ?? replicaWait.trouble(in: replies)
                    shard.isFull = MasterExamination.isFull(replies)
                }
                let pause =
                    shard.trouble == nil ? RedisStoreLimits.lookMilliseconds : RedisStoreLimits.troubledLookMilliseconds
                shard.nextLook = now + pause
            }
        }
    }

    private func set(_ master: RedisAddress, _ change: (inout Shard) -> Void) {
        guard var shard = shards[master] else { return }
        change(&shard)
        shards[master] = shard
        update()
    }

    /// Finds out anew what follows for the partitions.
    private func update() {
        isFull = shards.values.contains(where: \.isFull)
        if shards.values.allSatisfy({ $0.trouble == nil && $0.isTrusted }) { return partitions = [] }
        partitions = RedisKeys.slots.map { slot in
            // If nobody is known to own the slot, the client goes on looking for a while.
            guard let master = client.master(of: slot), let shard = shards[master] else { return (nil, true) }
            return (shard.trouble.map { .unreachable("\(master): \($0)") }, shard.isTrusted)
        }
    }
}
