// The six scenarios: what they ask, in which order, and which answers they do not believe.

import Testing

@testable import KontorBench

@Suite("The mix of the six scenarios")
struct MixTests {
    /// One request and its answer.
    private func step(_ mix: MixScenario, _ answer: (String) -> (Int, String)) throws -> String {
        var buffer = RequestBuffer()
        let ticket = try #require(mix.next(into: &buffer))
        let line = String(String(decoding: buffer.bytes, as: UTF8.self).prefix { $0 != "\r\n" })
        let (status, body) = answer(line)
        Array(body.utf8).withUnsafeBytes { mix.answered(ticket, status: status, body: $0) }
        return line
    }

    /// A shop that keeps the rules of the six scenarios: what is sold out or too dear is refused.
    private final class Rules {
        private var made = 0
        private var stocked: Set<Substring> = []
        private var funds: [Substring: Int] = [:]
        private var user: [Substring: Substring] = [:]
        private var lines: [Substring: [Substring]] = [:]

        func answer(_ line: String) -> (Int, String) {
            let path = line.split(separator: " ")[1].split(separator: "/")
            switch (path[0], path[1]) {
            case ("stock", "item"), ("payment", "create_user"): return create("id")
            case ("stock", "add"): stocked.insert(path[2])
            case ("stock", "subtract"): stocked.remove(path[2])
            case ("payment", "add_funds"): funds[path[2], default: 0] += Int(path[3]) ?? 0
            case ("orders", "create"):
                let answer = create("order_id")
                user[Substring("id-\(made)")] = path[2]
                return answer
            case ("orders", "addItem"): lines[path[2], default: []].append(path[3])
            case ("orders", "removeItem"): lines[path[2]]?.removeLast()
            default:
                let wanted = lines[path[2]] ?? []
                let credit = user[path[2]].flatMap { funds[$0] } ?? 0
                return (wanted.allSatisfy(stocked.contains) && credit >= 5 * wanted.count ? 200 : 409, "{}")
            }
            return (200, "{}")
        }

        private func create(_ name: String) -> (Int, String) {
            made += 1
            return (200, #"{"\#(name)":"id-\#(made)"}"#)
        }
    }

    @Test("a shop that keeps the rules completes rounds of all six, and contradicts none")
    func completes() throws {
        let mix = MixScenario()
        let rules = Rules()
        for _ in 0..<20_000 { _ = try step(mix, rules.answer) }
        #expect(mix.contradictions == [] && mix.abandoned == 0)
        let rounds = Double(mix.completed.reduce(0, +))
        for (script, count) in zip(MixScenario.scripts, mix.completed) {
            #expect(abs(Double(count) / rounds - Double(script.weight) / 100) < 0.03)
        }
        #expect(MixScenario.scripts.reduce(0) { $0 + $1.weight } == 100)
    }

    @Test("what cannot be paid and is said to be contradicts, and so does a refusal of what can", arguments: [200, 409])
    func contradicts(answer: Int) throws {
        let mix = MixScenario()
        let rules = Rules()
        for _ in 0..<2_000 {
            _ = try step(mix) { $0.contains("checkout") ? (answer, "{}") : rules.answer($0) }
        }
        #expect(mix.contradictions.count == 10)
        #expect(mix.contradictions.allSatisfy { $0.contains("was answered with \(answer)") })
    }

    @Test("a refusal for want of room is asked again, an answer that says nothing ends the round")
    func refusedAndUnknown() throws {
        let mix = MixScenario()
        let first = try step(mix) { _ in (429, "") }
        #expect(try step(mix) { _ in (504, "") } == first)
        #expect(mix.abandoned == 1 && mix.contradictions == [])
        // What was created has an id.
        _ = try step(mix) { _ in (200, "{}") }
        #expect(mix.contradictions.count == 1)
    }

    @Test("the id of what was created is read", arguments: [#"{"order_id":"a-1"}"#, #"{"item_id": "a-1"}"#])
    func createdID(body: String) {
        let read = Array(body.utf8).withUnsafeBytes { AnswerBody.createdID(in: $0) }
        #expect(read.map { String(decoding: $0, as: UTF8.self) } == "a-1")
    }

    @Test("no id is read from what has none", arguments: ["", "{}", #"{"a":1}"#, #"{"a":"#, #"{"a":""}"#, "text: \"x\""])
    func noID(body: String) {
        #expect(Array(body.utf8).withUnsafeBytes { AnswerBody.createdID(in: $0) } == nil)
    }

    @Test("how many orders may be paid follows from the answers")
    func possiblyPaid() throws {
        let scenario = CheckoutScenario(orders: 0..<10)
        let none = UnsafeRawBufferPointer(start: nil, count: 0)
        var buffer = RequestBuffer()
        let tickets = try (0..<5).map { _ in try #require(scenario.next(into: &buffer)) }
        for (ticket, status) in zip(tickets, [200, 429, 409, 504]) {
            scenario.answered(ticket, status: status, body: none)
        }
        // Paid, refused, refused for good, unknown, and not answered.
        #expect(scenario.possiblyPaid == 1...3)
    }
}
