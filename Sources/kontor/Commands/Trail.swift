// `kontor trail`: shows what admins and operators have changed, as a running shop's operators' port tells it.

import ArgumentParser
import Foundation
import KontorBench
import KontorCore

struct Trail: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows the audit trail: who made stock, credit and orders by right of admin, the newest entries first.",
        discussion: """
            Asks the operators' port of the shop or service that runs here, with the settings of `kontor serve`. Of three services each \
            has the entries of its own records. Exit status: 0 all that was asked for is shown; 1 something is missing.
            """)

    @Option(help: "The address of the operators' port. (default: 127.0.0.1; environment: KONTOR_INTERNAL_HOST)")
    var internalHost: String?

    @Option(help: "The operators' port. (default: 8100; environment: KONTOR_INTERNAL_PORT)")
    var internalPort: Int?

    @Option(
        help: """
            A file with a token that has the scope operate (kontor token new --scopes operate); - is standard input. \
            (environment: KONTOR_TOKEN_FILE)
            """)
    var tokenFile: String?

    @Option(help: "Show the entries of so many days; 0: all that are kept.")
    var days = 0

    @Flag(help: "Show each entry as a line of JSON, for programs.")
    var json = false

    @OptionGroup var asking: AskingOptions

    /// How long it waits for each page. One may be asked for while the shop is busy.
    private static let patienceSeconds = 30

    func run() throws {
        guard (0...36_500).contains(days) else { throw ValidationError("--days is \(days): it must be from 0 to 36500.") }
        let endpoint = try asking.endpoint(
            Setting.text(internalHost, "internal-host", default: "127.0.0.1"),
            try Setting.port(internalPort, "internal-port", default: 8100))
        let headers = try token().map { ["Authorization: Bearer \($0)"] } ?? []
        let oldest = days == 0 ? nil : Date().addingTimeInterval(Double(-days) * 86_400)
        var cursor: String?
        repeat {
            let page = try page(cursor, at: endpoint, headers)
            for entry in page.data {
                // By the text: both are UTC in one form.
                if let oldest, let time = entry["time"] as? String, time < Self.text(oldest) { return }
                print(try line(entry))
            }
            cursor = page.next
        } while cursor != nil
    }

    private func token() throws -> String? {
        let path = Setting.text(tokenFile, "token-file", default: "")
        if path.isEmpty { return nil }
        let text = path == "-" ? readLine() ?? "" : try TextFile.parsed(path, "the file of the token") { $0 }
        let token = text.trimmingCharacters(in: .whitespacesAndNewlines)
        if token.isEmpty || token.contains(where: \.isNewline) {
            throw ValidationError("--token-file must have one line, the token.")
        }
        return token
    }

    private func page(
        _ cursor: String?, at endpoint: Endpoint, _ headers: [String]
    ) throws -> (data: [[String: Any]], next: String?) {
        let path = "/trail?limit=\(Limits.trailPage)" + (cursor.map { "&cursor=\($0)" } ?? "")
        let answer: (status: Int, body: [UInt8])
        do {
            answer = try SimpleClient.ask(
                "GET", path, at: endpoint, headers: headers, patienceSeconds: Self.patienceSeconds)
        } catch { throw incomplete("no answer from \(endpoint.host):\(endpoint.port): \(error)") }
        let body = try? JSONSerialization.jsonObject(with: Data(answer.body)) as? [String: Any]
        guard answer.status == 200, let data = body?["data"] as? [[String: Any]] else {
            throw incomplete("\(endpoint.host):\(endpoint.port) answers \(answer.status): \(body?["detail"] ?? "no trail")")
        }
        return (data, body?["next_cursor"] as? String)
    }

    /// What is shown may be the first part: who keeps it must know.
    private func incomplete(_ reason: String) -> any Error {
        FileHandle.standardError.write(Data("The trail is not complete: \(reason)\n".utf8))
        return ExitCode(1)
    }

    private func line(_ entry: [String: Any]) throws -> String {
        if json {
            let bytes = try JSONSerialization.data(withJSONObject: entry, options: [.sortedKeys, .withoutEscapingSlashes])
            return String(decoding: bytes, as: UTF8.self)
        }
        func text(_ name: String) -> String { entry[name] as? String ?? "" }
        let records = ["order", "item", "user"].compactMap { kind in (entry["\(kind)_id"] as? String).map { "\(kind)=\($0)" } }
        let arguments = (entry["arguments"] as? [String: Any] ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        let facts = [text("time"), text("principal"), text("address"), text("operation")] + records + arguments
        let reason = text("reason")
        return (facts + (reason.isEmpty ? [] : ["(\(reason))"])).joined(separator: "  ")
    }

    private static func text(_ date: Date) -> String { date.ISO8601Format(.init(includingFractionalSeconds: true)) }
}
