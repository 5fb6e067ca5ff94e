// The trace of a world: what happened, line by line, and its fingerprint. Two runs of one seed have the same one. Only
// a world that was asked for it has one: writing it was 14 % of a world's time.

/// The story of one seed.
public final class Trace {
    /// One thing that happened.
    public struct Line: Sendable {
        /// Microseconds since the world began.
        public let time: Int64
        /// The actor: a client, a process, the disk.
        public let actor: String
        /// What happened.
        public let text: String

        public var description: String {
            let seconds = String(time / 1_000_000)
            let rest = String(time % 1_000_000)
            let padding = String(repeating: "0", count: 6 - rest.count)
            return "\(seconds).\(padding)\(rest)  \(actor)  \(text)"
        }
    }

    /// FNV-1a over all lines; the same for all worlds that keep none.
    public private(set) var fingerprint: UInt64 = 14_695_981_039_346_656_037
    /// The lines; none unless they were asked for.
    public private(set) var lines: [Line] = []
    private let isRecording: Bool
    private let scheduler: Scheduler

    init(_ scheduler: Scheduler, isRecording: Bool) {
        self.scheduler = scheduler
        self.isRecording = isRecording
    }

    func note(_ actor: String, _ text: @autoclosure () -> String) {
        guard isRecording else { return }
        let text = text()
        var hash = fingerprint ^ UInt64(bitPattern: scheduler.now)
        for byte in actor.utf8 { hash = (hash ^ UInt64(byte)) &* 1_099_511_628_211 }
        for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 1_099_511_628_211 }
        fingerprint = hash
        lines.append(Line(time: scheduler.now, actor: actor, text: text))
    }
}
