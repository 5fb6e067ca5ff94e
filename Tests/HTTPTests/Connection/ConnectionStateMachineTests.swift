// The states of a connection, without a channel: what each event makes possible, and what it does not.

import Testing

@testable import KontorHTTP

private final class TestRequest: HeldRequest, CustomStringConvertible {
    let name: String
    let isLast: Bool
    var description: String { name }

    init(_ name: String, isLast: Bool = false) {
        self.name = name
        self.isLast = isLast
    }
}

private typealias Machine = ConnectionStateMachine<TestRequest>

extension Machine {
    /// What can be done now, in words.
    fileprivate mutating func steps() -> [String] {
        var steps: [String] = []
        while let step = next() {
            switch step {
            case .begin(let request): steps.append("begin \(request)")
            case .sendContinue: steps.append("continue")
            case .read: steps.append("read")
            }
        }
        return steps
    }

    /// A whole request without a body.
    fileprivate mutating func arrive(_ request: TestRequest, at now: Int64 = 0) -> Problem? {
        guard partArrived() else { return nil }
        headArrived(request, wantsContinue: false, at: now)
        return endArrived()
    }

    fileprivate func sweepWord(at now: Int64) -> String {
        switch sweep(at: now) {
        case .none: return "none"
        case .close: return "close"
        case .drop: return "drop"
        case .expire(let request): return "expire \(request)"
        case .refuse(let problem): return "refuse \(problem.kind)"
        }
    }
}

@Suite struct ConnectionStateMachineTests {
    private let first = TestRequest("first")
    private let second = TestRequest("second")
    private let last = TestRequest("last", isLast: true)
    private var machine = Machine()

    init() { machine.opened(at: 1_000) }

    @Test mutating func `requests are answered one at a time, in their order`() {
        #expect(machine.isAtRest)
        #expect(machine.arrive(first) == nil)
        #expect(machine.arrive(second) == nil)
        #expect(machine.steps() == ["begin first"])
        #expect(machine.awaits(first) && !machine.awaits(second) && !machine.isAtRest)
        #expect(machine.answered(at: 1_001) == false)
        #expect(!machine.awaits(first))
        #expect(machine.steps() == ["begin second"])
        #expect(machine.answered(at: 1_002) == false)
        #expect(machine.steps() == [])
        #expect(machine.isAtRest)
    }

    @Test mutating func `an answer without a request that awaits it is nobody's`() {
        #expect(machine.answered(at: 1_001) == false)
        #expect(machine.isOpen)
    }

    @Test mutating func `behind a request that ends the connection nothing is taken`() {
        _ = machine.arrive(last)
        #expect(machine.partArrived() == false)
        #expect(machine.steps() == ["begin last"])
        #expect(machine.answered(at: 1_001) == true)
        #expect(machine.isClosable)
        #expect(machine.lastAnswerWritten(at: 1_002) == .close)
    }

    @Test mutating func `a shutdown makes the next answer the last, and drops what waits`() {
        _ = machine.arrive(first)
        _ = machine.arrive(second)
        #expect(machine.steps() == ["begin first"])
        #expect(!machine.isClosable)
        #expect(machine.drain(at: 1_001) == false)
        #expect(machine.answered(at: 1_001) == true)
        #expect(machine.steps() == [])
        #expect(!machine.isOpen)
    }

    @Test mutating func `a shutdown closes a connection at rest behind what is being written`() {
        #expect(machine.drain(at: 2_000) == true)
        #expect(!machine.isOpen)
        #expect(machine.sweepWord(at: 2_000 + HTTPLimits.shutdownPatienceMilliseconds - 1) == "none")
        #expect(machine.sweepWord(at: 2_000 + HTTPLimits.shutdownPatienceMilliseconds) == "close")
    }

    @Test mutating func `a shutdown does not wait long for the rest of a request, and refuses it`() {
        _ = machine.partArrived()
        machine.headArrived(first, wantsContinue: false, at: 1_000)
        #expect(machine.drain(at: 2_000) == false)
        #expect(machine.sweepWord(at: 2_000 + HTTPLimits.shutdownPatienceMilliseconds) == "none")
        #expect(machine.sweepWord(at: 2_001 + HTTPLimits.shutdownPatienceMilliseconds) == "refuse notServing")
        // Within that time it may still arrive, and is answered.
        #expect(machine.endArrived() == nil)
        #expect(machine.steps() == ["begin first"])
        #expect(machine.answered(at: 2_500) == true)
    }

    @Test mutating func `a shutdown does not wait long for a client that does not read`() {
        machine.writabilityChanged(false, at: 1_000)
        _ = machine.arrive(first)
        #expect(machine.drain(at: 2_000) == false)
        #expect(machine.sweepWord(at: 2_000 + HTTPLimits.shutdownPatienceMilliseconds) == "none")
        #expect(machine.sweepWord(at: 2_001 + HTTPLimits.shutdownPatienceMilliseconds) == "drop")
    }

    @Test mutating func `a shutdown does not wait long for a last answer to be taken`() {
        _ = machine.arrive(last)
        _ = machine.steps()
        #expect(machine.answered(at: 1_500) == true)
        #expect(machine.drain(at: 2_000) == false)
        #expect(machine.sweepWord(at: 2_000 + HTTPLimits.shutdownPatienceMilliseconds) == "close")
    }

    @Test mutating func `a client that closed its side gets the answers that it waits for, and then the end`() {
        _ = machine.arrive(first)
        _ = machine.arrive(second)
        machine.inputClosed()
        #expect(!machine.isClosable)
        #expect(machine.steps() == ["begin first"])
        #expect(machine.answered(at: 1_001) == false)
        #expect(machine.steps() == ["begin second"])
        #expect(machine.answered(at: 1_002) == true)
    }

    @Test mutating func `a client that closed its side and waits for nothing is closed`() {
        _ = machine.partArrived()
        machine.headArrived(first, wantsContinue: false, at: 1_000)
        #expect(!machine.isClosable)
        machine.inputClosed()
        #expect(machine.isClosable)
    }

    @Test mutating func `a refusal comes behind the earlier answers, and only the output is closed behind it`() {
        _ = machine.arrive(first)
        machine.refused(with: last)
        #expect(!machine.isOpen)
        #expect(machine.steps() == ["begin first"])
        #expect(machine.answered(at: 1_001) == false)
        #expect(machine.steps() == ["begin last"])
        #expect(machine.answered(at: 1_002) == true)
        #expect(machine.readRequested() == true)
        #expect(machine.lastAnswerWritten(at: 2_000) == .closeOutput)
        #expect(machine.sweepWord(at: 2_000 + HTTPLimits.lingerMilliseconds - 1) == "none")
        #expect(machine.sweepWord(at: 2_000 + HTTPLimits.lingerMilliseconds) == "close")
    }

    @Test mutating func `a connection that is turned away is closed once it has been told`() {
        machine.turnedAway(at: 1_000)
        #expect(machine.partArrived() == false)
        #expect(machine.lastAnswerWritten(at: 1_000) == .close)
        #expect(machine.sweepWord(at: 1_000 + HTTPLimits.unreadAnswerMilliseconds) == "close")
    }

    @Test mutating func `100 Continue is sent once, when everything before it is answered`() {
        _ = machine.arrive(first)
        #expect(machine.steps() == ["begin first"])
        machine.headArrived(second, wantsContinue: true, at: 1_000)
        #expect(machine.steps() == [])
        #expect(machine.answered(at: 1_001) == false)
        #expect(machine.steps() == ["continue"])
        #expect(machine.endArrived() == nil)
        #expect(machine.steps() == ["begin second"])
    }

    @Test mutating func `100 Continue is not sent to a client whose request was refused or is complete`() {
        _ = machine.arrive(first)
        _ = machine.steps()
        machine.headArrived(second, wantsContinue: true, at: 1_000)
        #expect(machine.endArrived() == nil)
        #expect(machine.answered(at: 1_001) == false)
        #expect(machine.steps() == ["begin second"])
        machine.headArrived(first, wantsContinue: true, at: 1_001)
        machine.refused(with: last)
        #expect(machine.answered(at: 1_002) == false)
        #expect(machine.steps() == ["begin last"])
    }

    @Test mutating func `a body is bounded, also in pieces`() {
        machine.headArrived(first, wantsContinue: false, at: 1_000)
        #expect(machine.bodyArrived(HTTPLimits.bodyBytes) == nil)
        #expect(machine.bodyArrived(1)?.kind == .bodyTooLarge)
    }

    @Test mutating func `a body counts anew for each request`() {
        for request in [first, second] {
            machine.headArrived(request, wantsContinue: false, at: 1_000)
            #expect(machine.bodyArrived(HTTPLimits.bodyBytes) == nil)
            #expect(machine.endArrived() == nil)
        }
    }

    @Test mutating func `reading stops while enough is held, and goes on by itself`() {
        for _ in 0..<HTTPLimits.pipelinedRequests { _ = machine.arrive(TestRequest("held")) }
        #expect(machine.readRequested() == false)
        #expect(machine.steps() == ["begin held", "read"])
        #expect(machine.readRequested() == true)
    }

    @Test mutating func `more requests than can be held are refused`() {
        for _ in 0..<HTTPLimits.heldRequests { #expect(machine.arrive(TestRequest("held")) == nil) }
        #expect(machine.arrive(first)?.kind == .overloaded)
        #expect(machine.arrive(last)?.kind == .overloaded)
    }

    @Test mutating func `to a client that does not read its answers nothing is said, and it is dropped in the end`() {
        machine.writabilityChanged(false, at: 2_000)
        _ = machine.arrive(first)
        #expect(!machine.isAtRest)
        #expect(machine.readRequested() == false)
        #expect(machine.steps() == [])
        #expect(machine.sweepWord(at: 2_000 + HTTPLimits.unreadAnswerMilliseconds) == "none")
        #expect(machine.sweepWord(at: 2_001 + HTTPLimits.unreadAnswerMilliseconds) == "drop")
        machine.writabilityChanged(true, at: 3_000)
        #expect(machine.steps() == ["begin first", "read"])
    }

    @Test mutating func `past the deadline of the request with the shop its outcome is unknown`() {
        _ = machine.arrive(first)
        _ = machine.steps()
        #expect(machine.sweepWord(at: .max - 1) == "none")
        machine.awaitsAnswer(until: 5_000)
        #expect(machine.sweepWord(at: 4_999) == "none")
        #expect(machine.sweepWord(at: 5_000) == "expire first")
        #expect(machine.awaits(first))
    }

    @Test mutating func `a head that does not arrive whole is refused`() {
        machine.readCompleted(at: 2_000)
        #expect(!machine.isAtRest && machine.isClosable)
        // Further pieces do not lengthen its time.
        machine.readCompleted(at: 9_000)
        #expect(machine.sweepWord(at: 2_000 + HTTPLimits.headMilliseconds) == "none")
        #expect(machine.sweepWord(at: 2_001 + HTTPLimits.headMilliseconds) == "refuse requestTimeout")
    }

    @Test mutating func `what completed a request is not the beginning of the next one`() {
        _ = machine.arrive(first)
        _ = machine.steps()
        _ = machine.answered(at: 1_000)
        machine.readCompleted(at: 1_000)
        #expect(machine.isAtRest)
        machine.readCompleted(at: 1_001)
        #expect(!machine.isAtRest)
    }

    @Test mutating func `a body that does not arrive whole is refused, in a time of its own`() {
        _ = machine.partArrived()
        machine.headArrived(first, wantsContinue: false, at: 2_000)
        machine.readCompleted(at: 2_000)
        #expect(machine.sweepWord(at: 2_000 + HTTPLimits.bodyMilliseconds) == "none")
        #expect(machine.sweepWord(at: 2_001 + HTTPLimits.bodyMilliseconds) == "refuse requestTimeout")
    }

    @Test mutating func `a request that arrives while another is answered has its time from that answer on`() {
        _ = machine.arrive(first)
        _ = machine.steps()
        machine.headArrived(second, wantsContinue: false, at: 2_000)
        _ = machine.answered(at: 50_000)
        #expect(machine.sweepWord(at: 50_000 + HTTPLimits.bodyMilliseconds) == "none")
        #expect(machine.sweepWord(at: 50_001 + HTTPLimits.bodyMilliseconds) == "refuse requestTimeout")
    }

    @Test mutating func `an idle connection is closed, and each answer makes its time begin anew`() {
        #expect(machine.sweepWord(at: 1_000 + HTTPLimits.idleMilliseconds) == "none")
        #expect(machine.sweepWord(at: 1_001 + HTTPLimits.idleMilliseconds) == "close")
        machine.shed(at: 2_000)
        #expect(machine.sweepWord(at: 2_000 + HTTPLimits.idleMilliseconds) == "none")
        _ = machine.arrive(first)
        _ = machine.steps()
        _ = machine.answered(at: 3_000)
        #expect(machine.sweepWord(at: 3_000 + HTTPLimits.idleMilliseconds) == "none")
        #expect(machine.sweepWord(at: 3_001 + HTTPLimits.idleMilliseconds) == "close")
    }

    @Test mutating func `a connection that is gone awaits nothing`() {
        _ = machine.arrive(first)
        _ = machine.arrive(second)
        _ = machine.steps()
        machine.closed()
        #expect(!machine.awaits(first) && !machine.isOpen)
        #expect(machine.steps() == [])
    }
}
