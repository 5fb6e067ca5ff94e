// An order's history as bytes: a log of decisions and ends. A checkout appends some twenty bytes twice; only an
// explanation of the order decodes it.

/// The latest attempts to check an order out.
public struct History: Hashable, Sendable {
    private enum Entry {
        static let decided: UInt8 = 1
        static let ended: UInt8 = 2
    }

    fileprivate enum DecisionTag {
        static let commit: UInt8 = 1
        static let abort: UInt8 = 2
        static let retryInOrder: UInt8 = 3
        static let reserve: UInt8 = 4
    }

    /// Entries, each behind its length.
    private(set) var bytes: [UInt8]

    public init() { bytes = [] }

    init(bytes: [UInt8]) { self.bytes = bytes }

    /// Adds the decision on an attempt.
    mutating func decide(_ saga: SagaRecord, _ decision: Decision, _ trace: SagaTrace) {
        forgetTooOld()
        var entry = ByteWriter()
        entry.byte(Entry.decided)
        entry.varint(UInt64(saga.id.attempt))
        entry.fixed(saga.begun)
        entry.varint(UInt64(trace.after))
        switch decision {
        case .commit: entry.byte(DecisionTag.commit)
        case .retryInOrder: entry.byte(DecisionTag.retryInOrder)
        case .abort(let reason):
            entry.byte(DecisionTag.abort)
            reason.encode(into: &entry)
        case .reserve(let until):
            entry.byte(DecisionTag.reserve)
            entry.fixed(until)
        }
        // A paid order keeps its lines, so its legs follow from it; any other order may be changed later.
        if decision != .commit { entry.legs(saga.legs) }
        entry.varint(UInt64(trace.legs.count))
        for leg in trace.legs {
            entry.byte(leg.hold.rawValue)
            entry.varint(UInt64(leg.holdAfter))
        }
        append(entry)
    }

    /// Adds the end of an attempt: all of its locks have ended.
    mutating func end(_ number: UInt32, _ trace: SagaTrace) {
        var entry = ByteWriter()
        entry.byte(Entry.ended)
        entry.varint(UInt64(number))
        entry.varint(UInt64(trace.after))
        entry.varint(UInt64(trace.legs.count))
        // 0 means not known; otherwise the milliseconds and 1.
        for leg in trace.legs { entry.varint(leg.settledAfter.map { UInt64($0) + 1 } ?? 0) }
        append(entry)
    }

    /// The attempts that are remembered, oldest first. Decoding ends at bytes that cannot be read, such as those of a
    /// newer release.
    public var attempts: [Attempt] {
        var attempts: [Attempt] = []
        var reader = ByteReader(bytes)
        while !reader.isAtEnd, let entry = try? reader.blob() {
            do throws(FormatError) {
                var entry = ByteReader(entry)
                switch try entry.byte() {
                case Entry.decided: attempts.append(try Attempt(decided: &entry))
                case Entry.ended:
                    let number = try entry.uint32()
                    guard let last = attempts.indices.last, attempts[last].number == number else { break }
                    try attempts[last].end(&entry)
                default: return attempts
                }
            } catch {
                return attempts
            }
        }
        return attempts
    }

    private mutating func append(_ entry: ByteWriter) {
        var log = ByteWriter()
        log.bytes.reserveCapacity(bytes.count + entry.bytes.count + 2)
        log.bytes += bytes
        log.blob(entry.bytes)
        bytes = log.bytes
    }

    /// Drops the oldest attempts, so that those before the latest keep their bounds in number and bytes.
    private mutating func forgetTooOld() {
        guard !bytes.isEmpty else { return }
        var starts: [Int] = []
        var reader = ByteReader(bytes)
        while !reader.isAtEnd {
            let start = reader.position
            guard let entry = try? reader.blob() else { break }
            if entry.first == Entry.decided { starts.append(start) }
        }
        let keep = starts.suffix(Limits.rememberedAttempts - 1).first { bytes.count - $0 <= Limits.historyBytes }
        bytes.removeFirst(keep ?? bytes.count)
    }
}

extension Attempt {
    fileprivate init(decided entry: inout ByteReader) throws(FormatError) {
        let number = try entry.uint32()
        let begun = try entry.time()
        let decidedAfter = try entry.uint32()
        let decision: Decision
        switch try entry.byte() {
        case History.DecisionTag.commit: decision = .commit
        case History.DecisionTag.abort: decision = .abort(try AbortReason(from: &entry))
        case History.DecisionTag.retryInOrder: decision = .retryInOrder
        case History.DecisionTag.reserve: decision = .reserve(until: try entry.time())
        default: throw .invalid("a decision in a history")
        }
        let legs = decision == .commit ? nil : try entry.legs()
        var traces: [LegTrace] = []
        for _ in 0..<(try entry.count(atMost: Limits.orderLines + 1)) {
            var trace = LegTrace()
            trace.hold = try entry.raw(LegTrace.Hold.self)
            trace.holdAfter = try entry.uint32()
            traces.append(trace)
        }
        self.init(
            number: number, begun: begun, legs: legs, traces: traces, decision: decision, decidedAfter: decidedAfter)
    }

    fileprivate mutating func end(_ entry: inout ByteReader) throws(FormatError) {
        finishedAfter = try entry.uint32()
        var settled: [LegTrace] = []
        for _ in 0..<(try entry.count(atMost: Limits.orderLines + 1)) {
            var trace = LegTrace()
            let after = try entry.varint()
            trace.settledAfter = after == 0 ? nil : UInt32(clamping: after - 1)
            settled.append(trace)
        }
        settle(SagaTrace(after: 0, legs: settled))
    }
}
