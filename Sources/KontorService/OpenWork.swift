// Finds open work in a store: all partitions, page by page.

import KontorCore

enum OpenWork {
    typealias Page = [(key: RecordKey, record: Record)]

    /// Calls `visit` with each page of open work of one kind, then `completion`: nil, or why the store could not be read.
    static func forEachPage(
        of kind: GroupKey.Kind, in store: any RecordStore, agenda: Agenda,
        visit: @escaping (Page) -> Void, completion: @escaping (StoreTrouble?) -> Void
    ) {
        forEachPage(of: kind, in: store, agenda: agenda) { page, next in
            visit(page)
            next()
        } completion: {
            completion($0)
        }
    }

    /// The same at the visitor's pace: the next page comes when it calls what it is given.
    static func forEachPage(
        of kind: GroupKey.Kind, in store: any RecordStore, agenda: Agenda,
        visit: @escaping (Page, _ next: @escaping () -> Void) -> Void, completion: @escaping (StoreTrouble?) -> Void
    ) {
        func scan(_ partition: Int, after cursor: RecordKey?) {
            guard partition < Partition.count else { return completion(nil) }
            store.scanOpenWork(kind, partition: partition, after: cursor) { result in
                switch result {
                case .failure(let trouble):
                    completion(trouble)
                case .success(let page):
                    visit(page) {
                        // By way of the agenda, so that the stack does not grow with the number of pages.
                        agenda.add {
                            if let last = page.last {
                                scan(partition, after: last.key)
                            } else {
                                scan(partition + 1, after: nil)
                            }
                        }
                    }
                }
            }
        }
        scan(0, after: nil)
    }
}
