// The result of a run: for scripts as a value that can be encoded, for people as a table.

/// What a run measured.
public struct Report: Codable, Sendable {
    /// All answers of one status.
    public struct Line: Codable, Sendable {
        /// The HTTP status.
        public let status: Int
        /// Answers, also those after the run's end.
        public let count: Int
        /// Answers a second, of those that came before the run's end.
        public let perSecond: Double
        public let latency: Percentiles
        public let curve: [CurvePoint]
    }

    /// The scenario's name.
    public var scenario: String
    /// Requests a second that were intended; nil for a closed loop.
    public var intendedPerSecond: Double?
    /// How long the load was recorded; less than planned if the scenario ran out of requests.
    public var durationSeconds: Double
    /// One for each status that was answered.
    public var lines: [Line]
    /// See ``Recorder/sent``.
    public var sent: Int
    /// See ``Recorder/unsent``.
    public var unsent: Int
    /// See ``Recorder/late``.
    public var late: Int
    /// See ``Recorder/unanswered``.
    public var unanswered: Int
    /// See ``Recorder/refusedWithoutRetryAfter``.
    public var refusedWithoutRetryAfter: Int
    /// The most connections that were open at a time.
    public var connections: Int
    /// The scenario had no more requests before the run's time was over.
    public var ranOut: Bool
    public var seconds: [Second]
    /// For a checkout: the first order that the run did not ask for.
    public var firstUnused: Int?
    /// Whether the shop's books balance after the run; nil if nobody looked.
    public var booksBalance: Bool?

    public init(
        scenario: String, intendedPerSecond: Double?, durationSeconds: Double, connections: Int, ranOut: Bool,
        _ recorder: Recorder
    ) {
        self.scenario = scenario
        self.intendedPerSecond = intendedPerSecond
        self.durationSeconds = durationSeconds
        self.connections = connections
        self.ranOut = ranOut
        sent = recorder.sent
        unsent = recorder.unsent
        late = recorder.late
        unanswered = recorder.unanswered
        refusedWithoutRetryAfter = recorder.refusedWithoutRetryAfter
        seconds = recorder.seconds
        lines = recorder.classes.sorted { $0.key < $1.key }.map { status, answers in
            let count = Int(answers.latencies.totalCount)
            return Line(
                status: status, count: count, perSecond: Double(answers.inTime) / max(durationSeconds, 0.001),
                latency: Percentiles(answers.latencies), curve: CurvePoint.curve(answers.latencies))
        }
    }

    /// The result as a table, for a terminal of 100 columns.
    public var table: String {
        var text = "answers        count    per second     p50 ms     p90 ms     p99 ms   p99.9 ms     max ms\n"
        for line in lines {
            let columns = [line.latency.p50, line.latency.p90, line.latency.p99, line.latency.p999, line.latency.max]
            text += Self.left("\(line.status)", 7) + Self.right("\(line.count)", 13)
            text += Self.right("\(Int(line.perSecond.rounded()))", 14)
            text += columns.map { Self.right(Figures.decimal($0, digits: 3), 11) }.joined() + "\n"
        }
        if unanswered > 0 { text += "without an answer: \(unanswered)\n" }
        if refusedWithoutRetryAfter > 0 { text += "429 without Retry-After: \(refusedWithoutRetryAfter)\n" }
        if intendedPerSecond != nil {
            text += "sent \(sent), of those late \(late); not sent for want of a connection: \(unsent)\n"
        }
        if ranOut { text += "The scenario ran out of requests: make more orders.\n" }
        return text + "connections: at most \(connections) at once\n"
    }

    private static func right(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(1, width - text.count)) + text
    }

    private static func left(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(1, width - text.count))
    }
}
