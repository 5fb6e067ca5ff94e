// The pages of the operators' listener. Each is computed on a thread of its own, so that none waits for another.

import Foundation
import KontorHTTP
import Logging
import Synchronization

enum OperatorPages {
    /// Computes a page on a thread of its own, for each who asks. The listener's connections bound how many there are.
    static func page(
        _ path: String, _ logger: Logger, _ compute: @escaping @Sendable () throws -> OperatorPage
    ) -> OperatorRoute {
        { _, completion in
            let thread = Thread {
                do { completion(try compute()) } catch {
                    logger.warning("A page cannot be computed", metadata: ["path": "\(path)", "reason": "\(error)"])
                    completion(nil)
                }
            }
            thread.name = "page"
            thread.start()
        }
    }

    /// The same for a page that takes long: who asks while it is computed for somebody else is told to come back.
    static func oneAtATime(
        _ path: String, _ logger: Logger, busy: String, _ compute: @escaping @Sendable () throws -> OperatorPage
    ) -> OperatorRoute {
        let isRunning = Flag()
        let page = page(path, logger) {
            defer { isRunning.isSet.store(false, ordering: .releasing) }
            return try compute()
        }
        return { query, completion in
            if isRunning.isSet.exchange(true, ordering: .acquiringAndReleasing) { return completion(.busy(busy)) }
            page(query, completion)
        }
    }

    private final class Flag: Sendable {
        let isSet = Atomic(false)
    }
}
