// Reads all records of a store, for the audit. It is no consistent cut: exact only while nothing is written.

import KontorCore
import NIOCore
import RedisClient

/// Walks through a store.
public enum RedisScan {
    /// Calls `visit` once for each record.
    ///
    /// - Parameters:
    ///   - unreadable: gets each record that does not decode, and why.
    ///   - completion: gets an error if the store could not be read.
    public static func forEachRecord(
        _ client: RedisClient, visit: @escaping (RecordKey, Record) -> Void,
        unreadable: @escaping (RecordKey, String) -> Void, completion: @escaping (Result<Void, RedisStoreError>) -> Void
    ) {
        Walk(client, visit, unreadable, completion).next(client.masters[...], cursor: "0")
    }

    private final class Walk {
        private let client: RedisClient
        private let visit: (RecordKey, Record) -> Void
        private let unreadable: (RecordKey, String) -> Void
        private let completion: (Result<Void, RedisStoreError>) -> Void
        /// The hashes of the keys that were seen: `SCAN` may name a key twice.
        private var seen: Set<Int> = []

        init(
            _ client: RedisClient, _ visit: @escaping (RecordKey, Record) -> Void,
            _ unreadable: @escaping (RecordKey, String) -> Void,
            _ completion: @escaping (Result<Void, RedisStoreError>) -> Void
        ) {
            self.client = client
            self.visit = visit
            self.unreadable = unreadable
            self.completion = completion
        }

        /// Reads the next page, of this master or of the one behind it.
        func next(_ masters: ArraySlice<RedisAddress>, cursor: String) {
            guard let master = masters.first else { return completion(.success(())) }
            ask(master, [RedisCommand("SCAN", cursor, "COUNT", "1000")]) { [self] replies in
                guard let page = replies.first?.elements, page.count == 2, let following = page[0].string,
                    let names = page[1].elements?.compactMap(\.string)
                else { return fail("\(master) does not reply to SCAN as expected") }
                read(master, names.filter { RedisKeys.record($0) != nil && seen.insert($0.hashValue).inserted }) { [self] in
                    next(following == "0" ? masters.dropFirst() : masters, cursor: following)
                }
            }
        }

        private func read(_ master: RedisAddress, _ names: [String], then: @escaping () -> Void) {
            if names.isEmpty { return then() }
            ask(master, names.map { RedisCommand("GET", $0) }) { [self] replies in
                for (name, reply) in zip(names, replies) {
                    guard let key = RedisKeys.record(name), let bytes = reply.octets else { continue }
                    do throws(StoreError) {
                        let record =
                            key.member == .head
                            ? try RecordBytes.head(bytes, name).1 : try RecordBytes.record(bytes[...], name)
                        if let record { visit(key, record) }
                    } catch {
                        unreadable(key, "\(error)")
                    }
                }
                then()
            }
        }

        private func ask(_ master: RedisAddress, _ commands: [RedisCommand], then: @escaping ([RESPValue]) -> Void) {
            client.send(commands, to: master, deadline: RedisStoreLimits.auditPageDeadline) { [self] result in
                switch result {
                case .success(let replies):
                    if let error = replies.lazy.compactMap(\.errorText).first { return fail(error) }
                    then(replies)
                case .failure(let error): fail(error.reason)
                }
            }
        }

        private func fail(_ reason: String) {
            completion(.failure(RedisStoreError(description: "The store cannot be read: \(reason)")))
        }
    }
}
