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
    /// The loads that wait until the lane is free.
    private var loads: [Load] = []
    private var isReading = false

    init(into cache: RecordCache, from table: any FoldedTable, _ ports: StorePorts) {
        self.cache = cache
        self.table = table
        self.ports = ports
    }

    /// Reads what the cache lacks of these read sets, then calls back.
    ///
    /// - Parameter completion: gets the records that could not be read, other loads' records among them.
    func fetch(_ readSets: [ReadSet], completion: @escaping ([RecordKey: StoreError]) -> Void) {
        loads.append(Load(readSets: readSets, completion: completion))
        readNext()
    }

    /// Reads in one transaction what the loads lack that wait, unless the lane is busy. What is lacking shows only now:
    /// a record that was being read may be here, or could not be read, and then each load that needs it asks for
    /// itself.
    private func readNext() {
        guard !isReading, !loads.isEmpty else { return }
        isReading = true
        let present = loads
        loads = []
        let missing = cache.pin(present.flatMap(\.readSets))
        ports.metrics.cacheMisses.increment(by: missing.count)
        ports.lanes.perform(on: .read) { [table] in
            Self.read(missing, from: table)
        } then: { [self] result in
            isReading = false
            for load in present { cache.unpin(load.readSets) }
            cache.fill(result.found.map(\.key), result.found.map(\.record))
            if !result.failures.isEmpty { cache.abandon(missing.filter { result.failures[$0] != nil }) }
            readNext()
            for load in present { load.completion(result.failures) }
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
            if keys.count == 1 {
                result.failures[keys[0]] = .unreachable("\(error)")
                return result
            }
            // A page that cannot be read takes no other record with it.
            for key in keys {
                let one = read([key], from: table)
                result.found += one.found
                result.failures.merge(one.failures) { $1 }
            }
        }
        return result
    }
}
