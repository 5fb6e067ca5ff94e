// Reads of records that are not in memory: from the table, on the read lane.

import KontorCore
import KontorService

/// Brings records from the table into the cache.
struct ColdReads {
    private let cache: RecordCache
    private let table: any FoldedTable
    private let ports: StorePorts

    init(into cache: RecordCache, from table: any FoldedTable, _ ports: StorePorts) {
        self.cache = cache
        self.table = table
        self.ports = ports
    }

    /// Reads what the cache lacks of these read sets, then calls back. What another call is reading already is not
    /// read again: the lane runs one read after the other, so it is there when this one calls back.
    func fetch(_ readSets: [ReadSet], completion: @escaping (Result<Void, StoreError>) -> Void) {
        let missing = cache.pin(readSets)
        ports.metrics.cacheMisses.increment(by: missing.count)
        ports.lanes.perform(on: .read) { [table] in
            Self.read(missing, from: table)
        } then: { [cache] result in
            cache.unpin(readSets)
            switch result {
            case .success(let records):
                cache.fill(missing, records)
                completion(.success(()))
            case .failure(let error):
                cache.abandon(missing)
                completion(.failure(.unreachable("\(error)")))
            }
        }
    }

    /// The records of these keys, in their order. The table is asked in the order of the keys' bytes, in which it has
    /// them.
    private static func read(_ keys: [RecordKey], from table: any FoldedTable) -> Result<[Record?], EmbeddedError> {
        do throws(EmbeddedError) {
            if keys.isEmpty { return .success([]) }
            let encoded = keys.map { TableKey($0) }
            let order = encoded.indices.sorted { encoded[$0].bytes.lexicographicallyPrecedes(encoded[$1].bytes) }
            let values = try table.read(order.map { encoded[$0] })
            var records = [Record?](repeating: nil, count: keys.count)
            for (place, value) in zip(order, values) {
                records[place] = try value.map { value throws(EmbeddedError) in try Record(stored: value) }
            }
            return .success(records)
        } catch {
            return .failure(error)
        }
    }
}
