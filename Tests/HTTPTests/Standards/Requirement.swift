// One demand of a standard on a server, as a row of a table: what is sent, and what must come back.

import KontorService
import TestSupport
import Testing

@testable import KontorHTTP

/// A MUST, a MUST NOT, or a SHOULD that matters as much.
struct Requirement: Sendable, CustomTestStringConvertible {
    /// What becomes of the connection behind the last answer.
    enum Connection: Sendable { case isKept, isClosed }

    let section: String
    let rule: String
    /// The bytes of one connection.
    let sent: [UInt8]
    /// The statuses of the answers, in order.
    let answers: [Int]
    let connection: Connection
    /// What else must be true of the last answer.
    let check: @Sendable (RawResponse) -> Bool
    /// Why the demand is not met; nil: it is met.
    let reason: String?

    init(
        _ section: String, _ rule: String, _ sent: String, _ answers: [Int], _ connection: Connection = .isKept,
        unmet reason: String? = nil, check: @escaping @Sendable (RawResponse) -> Bool = { _ in true }
    ) {
        self.init(section, rule, bytes: Array(sent.utf8), answers, connection, unmet: reason, check: check)
    }

    init(
        _ section: String, _ rule: String, bytes sent: [UInt8], _ answers: [Int], _ connection: Connection = .isKept,
        unmet reason: String? = nil, check: @escaping @Sendable (RawResponse) -> Bool = { _ in true }
    ) {
        self.section = section
        self.rule = rule
        self.sent = sent
        self.answers = answers
        self.connection = connection
        self.reason = reason
        self.check = check
    }

    var testDescription: String { "\(section): \(rule)" }

    /// Sends what is to be sent to a server of its own, and compares.
    func expectMet(secrets: SharedSecrets? = nil) throws {
        try withServer(access: AccessControl(secrets: secrets)) { (server) throws in
            let client = try server.client()
            client.send(sent)
            let isHead = sent.starts(with: "HEAD ".utf8)
            var last: RawResponse?
            for status in answers {
                let response = try client.readResponse(isHead: isHead)
                #expect(response.status == status, "\(section), \(rule): \(response.line)")
                last = response
            }
            if let last { #expect(check(last), "\(section), \(rule): \(last.headers)") }
            switch connection {
            case .isClosed: #expect(client.isClosedByServer(), "\(section), \(rule): the connection is kept")
            case .isKept:
                let next = try client.exchange("GET", "/health/live")
                #expect(next.status == 200, "\(section), \(rule): the next request is \(next.line)")
            }
        }
    }
}

/// A request with a line and a Host, and with these header lines.
func request(_ line: String, _ headers: String..., body: String = "") -> String {
    (["\(line) HTTP/1.1", "Host: h"] + headers).joined(separator: "\r\n") + "\r\n\r\n" + body
}
