// The bytes of an order's history. A successful attempt takes about twenty.

extension Attempt {
    private enum DecisionTag {
        static let none: UInt8 = 0
        static let commit: UInt8 = 1
        static let abort: UInt8 = 2
        static let retryInOrder: UInt8 = 3
    }

    func encode(into writer: inout ByteWriter) {
        writer.varint(UInt64(number))
        writer.fixed(begun)
        writer.byte((legs == nil ? 0 : 1) | (finishedAfter == nil ? 0 : 2))
        if let legs { writer.legs(legs) }
        writer.varint(UInt64(traces.count))
        for trace in traces {
            writer.byte(trace.hold.rawValue | (trace.settledAfter == nil ? 0 : 0x80))
            writer.varint(UInt64(trace.holdAfter))
            if let settledAfter = trace.settledAfter { writer.varint(UInt64(settledAfter)) }
        }
        switch decision {
        case nil: writer.byte(DecisionTag.none)
        case .commit: writer.byte(DecisionTag.commit)
        case .retryInOrder: writer.byte(DecisionTag.retryInOrder)
        case .abort(let reason):
            writer.byte(DecisionTag.abort)
            reason.encode(into: &writer)
        }
        writer.varint(UInt64(decidedAfter))
        if let finishedAfter { writer.varint(UInt64(finishedAfter)) }
    }

    init(from reader: inout ByteReader) throws(DecodingFailure) {
        self.init(number: try reader.uint32(), begun: try reader.fixed(Int64.self))
        let flags = try reader.byte()
        if flags & 1 != 0 { legs = try reader.legs() }
        for _ in 0..<(try reader.count(atMost: Limits.orderLines + 1)) {
            var trace = LegTrace()
            let state = try reader.byte()
            guard let hold = LegTrace.Hold(rawValue: state & 0x7F) else { throw .invalid("a hold in a history") }
            trace.hold = hold
            trace.holdAfter = try reader.uint32()
            if state & 0x80 != 0 { trace.settledAfter = try reader.uint32() }
            traces.append(trace)
        }
        switch try reader.byte() {
        case DecisionTag.none: decision = nil
        case DecisionTag.commit: decision = .commit
        case DecisionTag.retryInOrder: decision = .retryInOrder
        case DecisionTag.abort: decision = .abort(try AbortReason(from: &reader))
        default: throw .invalid("a decision in a history")
        }
        decidedAfter = try reader.uint32()
        if flags & 2 != 0 { finishedAfter = try reader.uint32() }
    }
}
