// The requests that wait for another attempt. Pure: RequestRouter asks it what is due.

import NIOCore

/// Requests that were not executed, each with the time of its next attempt.
struct RetryQueue {
    private struct Entry {
        let request: RedisRequest
        let dueAt: NIODeadline

        func isDue(_ now: NIODeadline) -> Bool { dueAt <= now || request.deadline <= now }
    }

    private let maximumRequests: Int
    private var entries: [Entry] = []

    init(maximumRequests: Int) { self.maximumRequests = maximumRequests }

    var isEmpty: Bool { entries.isEmpty }
    var isFull: Bool { entries.count >= maximumRequests }

    mutating func append(_ request: RedisRequest, dueAt: NIODeadline) {
        entries.append(Entry(request: request, dueAt: dueAt))
    }

    /// Takes out the requests whose time has come, or whose deadline has passed, in order.
    mutating func takeDue(now: NIODeadline) -> [RedisRequest] {
        let due = entries.filter { $0.isDue(now) }.map(\.request)
        if !due.isEmpty { entries.removeAll { $0.isDue(now) } }
        return due
    }

    /// Takes out all requests, in order.
    mutating func takeAll() -> [RedisRequest] {
        defer { entries = [] }
        return entries.map(\.request)
    }
}
