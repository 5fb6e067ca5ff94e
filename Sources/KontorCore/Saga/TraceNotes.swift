// The notes that a running saga takes of its legs, from which its order's history is made.

/// How the legs of one attempt go, as far as its coordinator sees it. Times are monotonic milliseconds.
struct TraceNotes: Sendable {
    /// When the attempt began.
    private let begun: Int64
    private var legs: [LegTrace]

    init(_ saga: SagaRecord, begun: Int64) {
        self.begun = begun
        legs = saga.legs.map { _ in LegTrace() }
        if saga.found != nil { for leg in legs.indices where saga.isFound(leg) { legs[leg].hold = .held } }
    }

    func trace(now: Int64) -> SagaTrace { SagaTrace(after: elapsed(now), legs: legs) }

    /// The first leg whose hold was contended; nil: none was.
    var firstContended: Int? { legs.firstIndex { $0.hold == .contended } }

    /// Notes that a leg's hold was asked for. A repetition has no effect.
    mutating func asked(_ leg: Int, now: Int64) {
        if legs[leg].hold == .notAsked { note(.silent, ofLeg: leg, now: now) }
    }

    mutating func held(_ leg: Int, grant: UInt32, now: Int64) {
        note(.held, ofLeg: leg, now: now)
        legs[leg].grant = grant
    }

    /// Notes how the request for a leg's hold went.
    mutating func note(_ hold: LegTrace.Hold, ofLeg leg: Int, now: Int64) {
        legs[leg].hold = hold
        legs[leg].holdAfter = elapsed(now)
    }

    /// Notes that a leg's capture or release was acknowledged.
    mutating func settled(_ leg: Int, now: Int64) { legs[leg].settledAfter = elapsed(now) }

    private func elapsed(_ now: Int64) -> UInt32 { UInt32(clamping: now - begun) }
}
