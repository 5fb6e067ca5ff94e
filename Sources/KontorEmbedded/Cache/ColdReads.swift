// Reads of records that are not in memory: from the table, on the read lane. What is asked for meanwhile is the next
// batch, so there is no timer.

import KontorCore
import KontorService

/// Brings records from the table into the cache.
final class ColdReads {
    /// A load that lacks records.
    private struct Load {
        let readSets: [ReadSet]
        let completion: ([RecordKey: StoreError]) -> Void
    }

    private let cache: RecordCache
    private let table: any FoldedTable
    private let ports: StorePorts
    /// Records to read when the lane is free.
    private var missing: [RecordKey] = []
    /// The loads that wait for them.
    private var loads: [Load] = []
    private var isReading = false

    init(into cache: RecordCache, from table: any FoldedTable, _ ports: StorePorts) {
        self.cache = cache
        self.table = table
        self.ports = ports
    }

    /// Reads what the cache lacks of these read sets, then calls back. What another call is reading already is not
    /// read again: the lane runs one read after the other, so it is there when this one calls back.
    ///
    /// - Parameter completion: gets the records that could not be read, other loads' records among them.
    func fetch(_ readSets: [ReadSet], completion: @escaping ([RecordKey: StoreError]) -> Void) {
        let added = cache.pin(readSets)
        ports.metrics.cacheMisses.increment(by: added.count)
        missing += added
        loads.append(Load(readSets: readSets, completion: completion))
        readNext()
    }

    /// Reads what is asked for in one transaction, unless the lane is busy.
    private func readNext() {
        guard !isReading, !loads.isEmpty else { return }
        isReading = true
        let (keys, ended) = (missing, loads)
        (missing, loads) = ([], [])
        ports.lanes.perform(on: .read) { [table] in
            Self.read(keys, from: table)
        } then: { [self] result in
            isReading = false
            for load in ended { cache.unpin(load.readSets) }
            cache.fill(result.found.map(\.key), result.found.map(\.record))
            if !result.failures.isEmpty { cache.abandon(keys.filter { result.failures[$0] != nil }) }
            readNext()
            for load in ended { load.completion(result.failures) }
        }
    }

    /// What a read of the table gave.
    private struct Found {
        var found: [(key: RecordKey, record: Record?)] = []
        var failures: [RecordKey: StoreError] = [:]
    }

    /// Reads the records of these keys. The table is asked in the order of the keys' bytes, in which it has them.
    private static func read(_ keys: [RecordKey], from table: any FoldedTable) -> Found {
        var result = Found()
        if keys.isEmpty { return result }
        let sorted = keys.map { (key: $0, encoded: TableKey($0)) }
            .sorted { $0.encoded.bytes.lexicographicallyPrecedes($1.encoded.bytes) }
        do throws(EmbeddedError) {
            for (place, value) in zip(sorted, try table.read(sorted.map(\.encoded))) {
                do throws(EmbeddedError) {
                    result.found.append((place.key, try value.map { value throws(EmbeddedError) in try Record(stored: value) }))
                } catch {
                    result.failures[place.key] = .unreadable("\(place.key.group) \(place.key.member): \(error)")
                }
            }
        } catch {
            result.failures = Dictionary(uniqueKeysWithValues: keys.map { ($0, .unreachable("\(error)")) })
        }
        return result
    }
}
