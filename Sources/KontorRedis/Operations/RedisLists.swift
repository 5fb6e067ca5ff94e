// Makes the lists of a store that an older release wrote: `kontor upgrade --finish` does it, while the shop runs.

import KontorCore
import KontorService
import RedisClient

/// Completes the lists of stores, and says that they are complete. Until then they are refused.
public enum RedisLists {
    /// Lists all accounts and orders of stores in the newest format that are not listed. A shop that runs meanwhile
    /// lists what it creates and replaces, so nothing is missed; an end half-way costs a repetition.
    ///
    /// - Parameters:
    ///   - progress: is called now and then with the number of accounts and orders that were looked at.
    ///   - completion: gets how many there are; 0 if the lists were complete.
    public static func complete(
        _ clients: [RedisClient], progress: @escaping (Int) -> Void,
        completion: @escaping (Result<Int, RedisStoreError>) -> Void
    ) {
        complete(clients[...], sum: 0, progress, completion)
    }

    private static func complete(
        _ clients: ArraySlice<RedisClient>, sum: Int, _ progress: @escaping (Int) -> Void,
        _ completion: @escaping (Result<Int, RedisStoreError>) -> Void
    ) {
        guard let client = clients.first else { return completion(.success(sum)) }
        PartitionCalls.ask(client, RedisCommand("GET", RedisKeys.listed)) { result in
            switch result {
            case .failure(let error): completion(.failure(error))
            case .success(let mark) where mark.octets != nil:
                complete(clients.dropFirst(), sum: sum, progress, completion)
            case .success:
                ListWalk(client) {
                    progress(sum + $0)
                } completion: { result in
                    switch result {
                    case .failure(let error): completion(.failure(error))
                    case .success(let count):
                        confirm([client]) { result in
                            if case .failure(let error) = result { return completion(.failure(error)) }
                            complete(clients.dropFirst(), sum: sum + count, progress, completion)
                        }
                    }
                }.begin()
            }
        }
    }

    /// Says that the lists of stores are complete.
    static func confirm(
        _ clients: ArraySlice<RedisClient>, completion: @escaping (Result<Void, RedisStoreError>) -> Void
    ) {
        guard let client = clients.first else { return completion(.success(())) }
        PartitionCalls.confirm([client]) { result in
            if case .failure = result { return completion(result) }
            PartitionCalls.ask(client, RedisCommand("SET", RedisKeys.listed, "1")) { result in
                if case .failure(let error) = result { return completion(.failure(error)) }
                PartitionCalls.confirm([client]) { result in
                    if case .failure = result { return completion(result) }
                    confirm(clients.dropFirst(), completion: completion)
                }
            }
        }
    }
}

/// Lists heads that still have the version that was read.
///
///     KEYS  the partition's lists, then the heads
///     ARGV  for each head: version, number of keys in the lists, these keys
///
/// Returns the places of the heads that have another version, from 1.
private enum ListScript {
    static let source = """
        local changed, a = {}, 1
        for i = 2, #KEYS do
          local count = tonumber(ARGV[a + 1])
          if string.sub(redis.call('GET', KEYS[i]) or '', 1, 16) == ARGV[a] then
            for p = a + 2, a + 1 + count do redis.call('ZADD', KEYS[1], '0', ARGV[p]) end
          else
            changed[#changed + 1] = i - 1
          end
          a = a + 2 + count
        end
        return changed
        """
}

/// One call of the script.
struct ListCall {
    /// The names of the heads that it lists: groups without a head are in no list.
    private(set) var heads: [String] = []
    private var arguments: [[UInt8]] = []

    /// - Parameter values: what was read of these heads.
    init(_ names: [String], _ values: [RESPValue]) throws(StoreError) {
        for (name, value) in zip(names, values) {
            guard let bytes = value.octets, let group = RedisKeys.record(name)?.group,
                let entry = try RecordBytes.head(bytes, name).1?.listEntry
            else { continue }
            let keys = RecordKey(group, .listed(entry)).indexKeys
            heads.append(name)
            arguments += [Array(bytes.prefix(RecordBytes.versionBytes)), Array("\(keys.count)".utf8)] + keys
        }
    }

    func command(_ partition: Int) -> RedisCommand {
        var command = RedisCommand("EVAL", argumentCount: 3 + heads.count + arguments.count)
        command.append(ListScript.source)
        command.append(1 + heads.count)
        command.append(RedisKeys.index(.lists, partition))
        for head in heads { command.append(head) }
        for argument in arguments { command.append(argument) }
        return command
    }
}

/// One walk over all heads of a store.
private final class ListWalk {
    private let client: RedisClient
    private let progress: (Int) -> Void
    private let completion: (Result<Int, RedisStoreError>) -> Void
    private var count = 0
    /// Whether a master was lost or slots have moved: then keys may have been missed, and what was written be lost.
    private var hasChanged = false

    init(
        _ client: RedisClient, progress: @escaping (Int) -> Void,
        completion: @escaping (Result<Int, RedisStoreError>) -> Void
    ) {
        self.client = client
        self.progress = progress
        self.completion = completion
    }

    func begin() {
        client.didChange = { [weak self] _ in self?.hasChanged = true }
        next(client.masters[...], cursor: "0")
    }

    private func end(_ result: Result<Int, RedisStoreError>) {
        client.didChange = nil
        completion(result)
    }

    private func fail(_ reason: String) {
        end(.failure(RedisStoreError(description: "The lists are not complete: \(reason). Repeat it.")))
    }

    /// Reads the next page of keys, of this master or of the one behind it.
    private func next(_ masters: ArraySlice<RedisAddress>, cursor: String) {
        if hasChanged { return fail("a master was reached again, or slots have moved") }
        guard let master = masters.first else { return look() }
        client.send(
            [RedisCommand("SCAN", cursor, "COUNT", "1000")], to: master, deadline: RedisStoreLimits.auditPageDeadline
        ) { [self] result in
            guard case .success(let replies) = result, let page = replies.first?.elements, page.count == 2,
                let following = page[0].string, let names = page[1].elements?.compactMap(\.string)
            else { return fail("\(master) does not reply to SCAN as expected") }
            let heads = names.filter { RedisKeys.record($0)?.member == .head }
            list(heads) { [self] in
                count += heads.count
                progress(count)
                next(following == "0" ? masters.dropFirst() : masters, cursor: following)
            }
        }
    }

    /// Asks once more where all partitions are.
    private func look() {
        PartitionCalls.forEachPartition(client) {
            RedisCommand("GET", RedisKeys.epoch($0))
        } visit: { _, _ in
        } completion: { [self] error in
            if let error { return end(.failure(error)) }
            if hasChanged { fail("a master was reached again, or slots have moved") } else { end(.success(count)) }
        }
    }

    /// Lists heads, those of a partition at a time.
    private func list(_ heads: [String], then: @escaping () -> Void) {
        let byPartition = Dictionary(grouping: heads) { RedisKeys.record($0).map { Partition.of($0.group.id) } ?? 0 }
        var pending = byPartition.count
        if pending == 0 { return then() }
        var reason: String?
        for (partition, heads) in byPartition {
            list(heads, of: partition) { [self] failure in
                reason = reason ?? failure
                pending -= 1
                if pending > 0 { return }
                if let reason { fail(reason) } else { then() }
            }
        }
    }

    private func list(_ heads: [String], of partition: Int, completion: @escaping (String?) -> Void) {
        if heads.isEmpty { return completion(nil) }
        send(RedisCommand("MGET", arguments: heads), partition) { [self] reply in
            guard let values = reply?.elements, values.count == heads.count else { return completion("MGET failed") }
            let call: ListCall
            do throws(StoreError) {
                call = try ListCall(heads, values)
            } catch { return completion("\(error)") }
            if call.heads.isEmpty { return completion(nil) }
            send(call.command(partition), partition) { [self] reply in
                guard let changed = reply?.elements else { return completion("EVAL failed") }
                let again = changed.compactMap(\.int).map { call.heads[Int($0) - 1] }
                list(again, of: partition, completion: completion)
            }
        }
    }

    private func send(_ command: RedisCommand, _ partition: Int, reply: @escaping (RESPValue?) -> Void) {
        client.send(
            [command], slot: RedisKeys.slots[partition], lane: .writes, deadline: RedisStoreLimits.auditPageDeadline
        ) { result in
            guard case .success(let replies) = result, let first = replies.first, first.errorText == nil else {
                return reply(nil)
            }
            reply(first)
        }
    }
}
