// Finds open work in a store: all partitions, page by page.

import KontorCore

enum OpenWork {
    typealias Page = [(key: RecordKey, record: Record)]

    /// Calls `visit` with each page of open work of one kind, then `completion` with nil, or with why a partition could
    /// not be read. The others are read nevertheless.
    ///
    /// - Parameter atOnce: partitions that are read at a time; each costs round trips.
    static func forEachPage(
        of kind: GroupKey.Kind, in store: any RecordStore, agenda: Agenda, atOnce: Int = 1,
        visit: @escaping (Page) -> Void, completion: @escaping (StoreError?) -> Void
    ) {
        var error: StoreError?
        var running = atOnce
        for first in 0..<atOnce {
            forEachPage(of: kind, in: store, agenda: agenda, partitions: stride(from: first, to: Partition.count, by: atOnce)) {
                page, next in
                visit(page)
                next()
            } completion: {
                error = error ?? $0
                running -= 1
                if running == 0 { completion(error) }
            }
        }
    }

    /// Does the same at the visitor's pace: the next page comes when the visitor calls `next`.
    static func forEachPage(
        of kind: GroupKey.Kind, in store: any RecordStore, agenda: Agenda,
        partitions: StrideTo<Int> = stride(from: 0, to: Partition.count, by: 1),
        visit: @escaping (Page, _ next: @escaping () -> Void) -> Void, completion: @escaping (StoreError?) -> Void
    ) {
        var rest = partitions.makeIterator()
        var failure: StoreError?
        func scanNext() {
            guard let partition = rest.next() else { return completion(failure) }
            scan(partition, after: nil)
        }
        func scan(_ partition: Int, after cursor: RecordKey?) {
            store.scanOpenWork(kind, partition: partition, after: cursor) { result in
                // The agenda keeps the stack from growing with the number of pages.
                switch result {
                case .failure(let error):
                    failure = failure ?? error
                    agenda.add(scanNext)
                case .success(let page):
                    visit(page) {
                        agenda.add {
                            if let last = page.last {
                                scan(partition, after: last.key)
                            } else {
                                scanNext()
                            }
                        }
                    }
                }
            }
        }
        scanNext()
    }
}
