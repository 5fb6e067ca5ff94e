// What a person sees while a run goes on: a bar on a terminal, a line a second elsewhere.

/// Shows how far a run is, and how it goes.
public struct RunProgress: Sendable {
    private let totalSeconds: Int
    private let isTerminal: Bool
    private var passed = 0
    private static let width = 24
    /// Moves a terminal's cursor to the beginning of the line, and erases the line.
    private static let clear = "\r\u{1B}[K"

    /// - Parameters:
    ///   - totalSeconds: how long the run takes, with its warm-up.
    ///   - isTerminal: whether a line can be written over.
    public init(totalSeconds: Double, isTerminal: Bool) {
        self.totalSeconds = max(1, Int(totalSeconds.rounded(.up)))
        self.isTerminal = isTerminal
    }

    /// The text to write when a second is over.
    public mutating func text(_ second: Second, isWarmUp: Bool) -> String {
        passed = min(totalSeconds, passed + 1)
        let figures = Self.figures(second)
        guard isTerminal else { return "\(isWarmUp ? "warm-up" : "second") \(second.second + 1): \(figures)\n" }
        let full = Self.width * passed / totalSeconds
        let bar = String(repeating: "#", count: full) + String(repeating: ".", count: Self.width - full)
        return Self.clear + "[\(bar)] \(passed)/\(totalSeconds) s  \(isWarmUp ? "(warm-up) " : "")\(figures)"
    }

    /// The text to write at the end of the run: it clears the bar from the line.
    public var end: String { isTerminal && passed > 0 ? Self.clear : "" }

    private static func figures(_ second: Second) -> String {
        var text = "\(Figures.grouped(Double(second.succeeded))) ok"
        text += " (p50 \(Figures.milliseconds(second.p50)), p99 \(Figures.milliseconds(second.p99)) ms)"
        if second.refused > 0 {
            text += ", \(Figures.grouped(Double(second.refused))) refused (p99 \(Figures.milliseconds(second.refusedP99)) ms)"
        }
        if second.failed > 0 { text += ", \(Figures.grouped(Double(second.failed))) failed" }
        if second.unsent > 0 { text += ", \(Figures.grouped(Double(second.unsent))) not sent" }
        return text
    }
}
