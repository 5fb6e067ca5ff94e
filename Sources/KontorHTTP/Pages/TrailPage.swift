// The audit trail as operators read it: `GET /trail?limit=N&cursor=CURSOR` on their port, newest first.

import KontorCore
import KontorService

/// The page of the audit trail.
public enum TrailPage {
    /// Reads entries that are older than `id` (nil: the newest ones), at most `bound`, the newest first.
    public typealias Read =
        @Sendable (
            _ id: TrailID?, _ bound: Int, _ completion: @escaping @Sendable (Result<TrailPart, StoreError>) -> Void
        ) -> Void

    /// Makes the page. It answers 400 to a query that makes no sense, and 503 while a part of the trail cannot be read.
    public static func route(_ read: @escaping Read) -> OperatorRoute {
        { query, completion in
            let asked: Query
            do throws(Problem) { asked = try Query(query) } catch { return completion(.malformed(error.detail)) }
            read(asked.cursor, asked.limit) { found in
                switch found {
                case .success(let part): completion(OperatorPage(body: json(part)))
                case .failure(let error):
                    completion(.unavailable("The audit trail cannot be read now: \(error). Ask again later."))
                }
            }
        }
    }

    /// What stands behind the `?`.
    private struct Query {
        var limit = Limits.trailPage / 2
        var cursor: TrailID?

        init(_ text: String) throws(Problem) {
            for pair in text.split(separator: "&") {
                let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
                let value = parts.count == 2 ? parts[1] : ""
                switch parts[0] {
                case "limit":
                    guard let number = Int(value), (1...Limits.trailPage).contains(number) else {
                        throw .malformed("The limit is not an integer from 1 to \(Limits.trailPage)", echoing: value)
                    }
                    limit = number
                case "cursor":
                    guard let id = TrailID(value) else {
                        throw .malformed("The cursor is none that a page of the trail gave", echoing: value)
                    }
                    cursor = id
                default: throw .malformed("The trail knows limit and cursor, and not this", echoing: parts[0])
                }
            }
        }
    }

    private static func json(_ part: TrailPart) -> String {
        var json = JSONWriter(capacity: 64 + part.entries.count * 256)
        json.raw(#"{"data":["#)
        for (index, found) in part.entries.enumerated() {
            if index > 0 { json.raw(",") }
            write(found, to: &json)
        }
        json.raw(#"],"next_cursor":"#)
        if let next = part.next { json.string(next.text) } else { json.raw("null") }
        json.raw("}")
        return String(decoding: json.bytes, as: UTF8.self)
    }

    private static func write(_ found: FoundTrailEntry, to json: inout JSONWriter) {
        let note = found.entry.note
        json.raw(#"{"id":"#)
        json.string(found.entry.id.text)
        json.raw(#","time":"#)
        json.string(Timestamp(found.entry.id.time).text)
        json.raw(#","principal":"#)
        json.string(note.principal)
        json.raw(#","address":"#)
        json.string(note.address)
        json.raw(#","operation":"#)
        json.string(note.operation)
        if found.isOfOneRecord {
            switch found.group.kind {
            case .order: json.raw(#","order_id":"#)
            case .item: json.raw(#","item_id":"#)
            case .user: json.raw(#","user_id":"#)
            }
            json.id(found.group.id)
        }
        json.raw(#","arguments":{"#)
        for (index, argument) in note.arguments.enumerated() {
            if index > 0 { json.raw(",") }
            json.string(argument.name)
            json.raw(":")
            json.string(argument.value)
        }
        json.raw(#"},"reason":"#)
        json.string(note.reason)
        json.raw("}")
    }
}
