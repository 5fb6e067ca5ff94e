// When requests are due, and what a run reports of them.

import Testing

@testable import KontorBench

@Suite("Schedule and statistics of a load")
struct ScheduleTests {
    @Test("requests are due at even distances, and no error adds up", arguments: [1, 3, 7_919, 60_000.5])
    func evenlySpaced(perSecond: Double) {
        let schedule = Schedule(start: 5_000, perSecond: perSecond)
        #expect(schedule.due(0) == 5_000)
        for number in [1, 2, 1_000, 3_600_000] {
            let distance = Double(schedule.due(number) - schedule.due(number - 1))
            #expect(abs(distance - 1e9 / perSecond) <= 1)
            #expect(abs(Double(schedule.due(number) - 5_000) - Double(number) * 1e9 / perSecond) <= 1)
        }
    }

    @Test("what is due by a moment is what is due, to the nanosecond", arguments: [1, 3, 7_919, 60_000.5])
    func countsWhatIsDue(perSecond: Double) {
        let schedule = Schedule(start: 77, perSecond: perSecond)
        #expect(schedule.count(by: 76) == 0)
        for number in [0, 1, 12, 99_999] {
            #expect(schedule.count(by: schedule.due(number)) == number + 1)
            #expect(schedule.count(by: schedule.due(number) - 1) == number)
        }
    }

    @Test("percentiles are those of the latencies, and refusals have their own")
    func percentiles() throws {
        var recorder = Recorder()
        for microseconds in 1...1_000 {
            recorder.didSend(isLate: false)
            recorder.got(Self.head(200), nanoseconds: Int64(microseconds) * 1_000_000)
        }
        recorder.didSend(isLate: true)
        recorder.got(Self.head(429, retryAfter: 1), nanoseconds: 2_000_000)
        recorder.got(Self.head(429), nanoseconds: 3_000_000)
        let second = recorder.endSecond()
        #expect(second.succeeded == 1_000 && second.refused == 2 && second.failed == 0)
        #expect(abs(second.p50 - 500) < 1 && abs(second.p99 - 990) < 2 && abs(second.refusedP99 - 3) < 0.01)
        let report = Report(
            scenario: "x", intendedPerSecond: 501, durationSeconds: 2, connections: 1, ranOut: false, recorder)
        #expect(report.lines.map(\.status) == [200, 429])
        #expect(report.lines.map(\.count) == [1_000, 2])
        #expect(report.lines[0].perSecond == 500)
        let latency = report.lines[0].latency
        #expect(abs(latency.p999 - 999) < 2 && abs(latency.max - 1_000) < 2 && abs(latency.p90 - 900) < 2)
        #expect(report.late == 1 && report.sent == 1_001 && report.refusedWithoutRetryAfter == 1)
    }

    @Test("an answer that comes after the end has a latency, and makes no rate")
    func lateAnswers() {
        var recorder = Recorder()
        recorder.got(Self.head(200), nanoseconds: 1_000, isInTime: true)
        recorder.got(Self.head(200), nanoseconds: 9_000_000_000, isInTime: false)
        let report = Report(
            scenario: "x", intendedPerSecond: nil, durationSeconds: 1, connections: 1, ranOut: false, recorder)
        #expect(report.lines[0].count == 2 && report.lines[0].perSecond == 1)
        #expect(report.lines[0].latency.max > 8_000)
    }

    @Test("each second stands for itself")
    func seconds() {
        var recorder = Recorder()
        recorder.got(Self.head(200), nanoseconds: 5_000_000)
        _ = recorder.endSecond()
        recorder.got(Self.head(504), nanoseconds: 5_000_000)
        recorder.couldNotSend(3)
        let second = recorder.endSecond()
        #expect(second == Second(second: 1, failed: 1, unsent: 3))
        #expect(recorder.seconds.count == 2 && recorder.unsent == 3)
    }

    private static func head(_ status: Int, retryAfter: Int? = nil) -> ResponseHead {
        var head = ResponseHead()
        head.status = status
        head.retryAfterSeconds = retryAfter
        return head
    }
}
