// A response, and its bytes. One buffer holds status line, headers and body, so that an answer is one write.

import KontorService
import NIOCore

/// An answer before it is bytes.
struct Response: Hashable, Sendable {
    var status: Int
    let contentType: String
    let body: [UInt8]
    /// The value of `Retry-After`; nil for none.
    var retryAfterSeconds: Int?
    /// The value of `Allow`; empty for none.
    var allowed: MethodSet = []
    /// Whether the request had its effect before, under its idempotency key.
    var isReplay = false
    /// The value of `Location`; nil for none.
    var location: String?
    /// The origin of the page that may read it; nil: no other site's.
    var origin: String?
    /// Whether it tells a browser what a page of another site may send.
    var isPreflight = false
    /// The value of `ETag`; nil for none.
    var tag: String?

    init(status: Int, contentType: String, body: [UInt8]) {
        self.status = status
        self.contentType = contentType
        self.body = body
    }

    init(_ problem: Problem) {
        status = problem.kind.status
        contentType = Problem.contentType
        body = problem.json
        retryAfterSeconds = problem.retryAfterSeconds
        allowed = problem.allowed
    }

    /// A refusal for the caller's own limit is a 430 to a gateway, which makes a 429 of it: of a 429 it asks another
    /// replica, and that one has a limit of its own.
    init(toGateway problem: Problem) {
        self.init(problem)
        if problem.kind == .callerLimit { status = 430 }
    }

    init(_ page: OperatorPage) {
        self.init(status: page.status, contentType: page.contentType, body: Array(page.body.utf8))
        retryAfterSeconds = page.retryAfterSeconds
    }

    /// A 200, unless another status is given.
    static func json(_ body: [UInt8], status: Int = 200) -> Response {
        Response(status: status, contentType: "application/json", body: body)
    }

    static func json(_ body: String) -> Response { json(Array(body.utf8)) }

    /// A 302 to another path of this server.
    static func redirect(to path: String) -> Response {
        var response = Response(status: 302, contentType: "text/plain; charset=utf-8", body: Array("It is at \(path)\n".utf8))
        response.location = path
        return response
    }

    /// The answer to a request for which the shop has no room. Made once, because in an overload it must cost nothing.
    static let notTaken = Response(.notTaken(.requestsInFlight))

    /// The answer to a request that the shop did not take.
    static func refusal(_ intake: Intake, isRead: Bool) -> Response {
        switch intake {
        case .starting: return Response(.starting(isRead: isRead))
        case .ending: return Response(.ending(isRead: isRead))
        case .full, .taken: return notTaken
        }
    }

    /// Whether the connection stays open behind the answer, and whether the answer says so.
    enum Persistence {
        /// It stays open, as HTTP/1.1 connections do without a header.
        case kept
        /// It stays open, which an HTTP/1.0 client must be told.
        case keptExplicitly
        /// It is closed, and the client is told.
        case closed
    }

    /// What stands between the content's type and its length: browsers neither guess what an answer is, nor show it
    /// inside of another site's page, nor give it to one.
    private static let fromTypeToLength: StaticString = """
        \r\nx-content-type-options: nosniff\
        \r\ncontent-security-policy: frame-ancestors 'none'\
        \r\ncross-origin-resource-policy: same-origin\
        \r\ncontent-length:\u{20}
        """

    /// Appends the answer's bytes.
    ///
    /// - Parameters:
    ///   - date: the Date header, with the end of its line.
    ///   - isHead: the request was a HEAD: it gets the same head as a GET, and no body.
    func write(into buffer: inout ByteBuffer, date: [UInt8], persistence: Persistence, isHead: Bool) {
        if let line = Self.statusLine(status) {
            buffer.writeStaticString(line)
        } else {
            buffer.writeString("HTTP/1.1 \(status) Status\r\n")
        }
        buffer.writeBytes(date)
        buffer.writeStaticString("content-type: ")
        buffer.writeString(contentType)
        buffer.writeStaticString(Self.fromTypeToLength)
        buffer.writeString(String(body.count))
        switch persistence {
        case .kept: break
        case .keptExplicitly: buffer.writeStaticString("\r\nconnection: keep-alive")
        case .closed: buffer.writeStaticString("\r\nconnection: close")
        }
        if let retryAfterSeconds { buffer.writeString("\r\nretry-after: \(retryAfterSeconds)") }
        if isReplay { buffer.writeStaticString("\r\nidempotent-replayed: true") }
        if !allowed.isEmpty { buffer.writeString("\r\nallow: \(allowed.allowText)") }
        if let location { buffer.writeString("\r\nlocation: \(location)") }
        if let origin { writeOrigin(origin, into: &buffer) }
        if let tag { buffer.writeString("\r\netag: \(tag)") }
        // Each 401 has one (RFC 9110, 15.5.2).
        if status == 401 { buffer.writeStaticString("\r\nwww-authenticate: Bearer realm=\"kontor\"") }
        buffer.writeStaticString("\r\n\r\n")
        if !isHead { buffer.writeBytes(body) }
    }

    private func writeOrigin(_ origin: String, into buffer: inout ByteBuffer) {
        buffer.writeString("\r\nvary: Origin\r\naccess-control-allow-origin: \(origin)\r\naccess-control-expose-headers: ")
        buffer.writeStaticString(Self.crossOriginResponseHeaders)
        guard isPreflight else { return }
        buffer.writeStaticString("\r\naccess-control-allow-methods: ")
        buffer.writeStaticString(Self.crossOriginMethods)
        buffer.writeStaticString("\r\naccess-control-allow-headers: ")
        buffer.writeStaticString(Self.crossOriginRequestHeaders)
        buffer.writeString("\r\naccess-control-max-age: \(HTTPLimits.preflightSeconds)")
    }

    /// The first line of an answer; nil for a status that only operators' pages have.
    private static func statusLine(_ status: Int) -> StaticString? {
        switch status {
        case 200: return "HTTP/1.1 200 OK\r\n"
        case 201: return "HTTP/1.1 201 Created\r\n"
        case 204: return "HTTP/1.1 204 No Content\r\n"
        case 302: return "HTTP/1.1 302 Found\r\n"
        case 400: return "HTTP/1.1 400 Bad Request\r\n"
        case 401: return "HTTP/1.1 401 Unauthorized\r\n"
        case 403: return "HTTP/1.1 403 Forbidden\r\n"
        case 404: return "HTTP/1.1 404 Not Found\r\n"
        case 405: return "HTTP/1.1 405 Method Not Allowed\r\n"
        case 408: return "HTTP/1.1 408 Request Timeout\r\n"
        case 409: return "HTTP/1.1 409 Conflict\r\n"
        case 412: return "HTTP/1.1 412 Precondition Failed\r\n"
        case 413: return "HTTP/1.1 413 Content Too Large\r\n"
        case 414: return "HTTP/1.1 414 URI Too Long\r\n"
        case 415: return "HTTP/1.1 415 Unsupported Media Type\r\n"
        case 422: return "HTTP/1.1 422 Unprocessable Content\r\n"
        case 424: return "HTTP/1.1 424 Failed Dependency\r\n"
        case 429: return "HTTP/1.1 429 Too Many Requests\r\n"
        case 431: return "HTTP/1.1 431 Request Header Fields Too Large\r\n"
        case 500: return "HTTP/1.1 500 Internal Server Error\r\n"
        case 503: return "HTTP/1.1 503 Service Unavailable\r\n"
        case 504: return "HTTP/1.1 504 Gateway Timeout\r\n"
        default: return nil
        }
    }
}
