// `kontor bench`: offers load to a shop on this machine, measures what comes back, and looks at the books.

import ArgumentParser
import Foundation
import KontorBench

struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Offers load to a shop on this machine and measures it: rate, latencies, refusals. Then checks the books.",
        discussion: """
            checkout   checks out unpaid orders, each once (made by batch_init before)
            find       reads items
            journey    creates an order, adds an item, checks it out: the store grows

            Without --rate it is a closed loop: --connections clients, each waits for its answer. With --rate it is an open \
            loop, and latency counts from the moment at which a request should have been sent, so that a stall is not hidden. \
            It replaces the shop's items, users and orders "0", "1", ...: use it on a directory that may be thrown away.
            """)

    enum Load: String, ExpressibleByArgument, CaseIterable {
        case checkout, find, journey
    }

    @Argument(help: "What to ask for: checkout, find or journey.")
    var scenario: Load

    @Option(help: "The shop's port on 127.0.0.1. (default: 8000; environment: KONTOR_PORT)")
    var port: Int?

    @Option(help: "The operators' port, for the audit. (default: 8100; environment: KONTOR_INTERNAL_PORT)")
    var internalPort: Int?

    @Option(help: "Closed loop: clients at once. Open loop: connections at the start.")
    var connections = 64

    @Option(help: "Open loop: requests a second.")
    var rate: Double?

    @Option(help: "Open loop: connections at most.")
    var maxConnections = 4_096

    @Option(help: "Seconds that are not measured, at the start.")
    var warmUp = 2.0

    @Option(help: "Seconds that are measured, at most 3600.")
    var duration = 10.0

    @Option(help: "Orders to make, at most 1000000; those from --first on are checked out.")
    var orders = 500_000

    @Option(help: "The first order to check out.")
    var first = 0

    @Option(help: "Items of an order, 2 to 100: two are made by batch_init, the others added one by one.")
    var basket = 2

    @Option(help: "Items to make.")
    var items = 1_000

    @Option(help: "Users to make.")
    var users = 100_000

    @Flag(inversion: .prefixedNo, help: "Make items, users and orders before.")
    var initialize = true

    @Flag(inversion: .prefixedNo, help: "Check the books after.")
    var audit = true

    @Flag(help: "Never sleep: for a generator with a processor to itself.")
    var spin = false

    @Option(help: "Also write the result to this file, as JSON with a series by second.")
    var json: String?

    func validate() throws {
        guard (0.1...3_600).contains(duration), (0...600).contains(warmUp) else {
            throw ValidationError("--duration is 0.1 to 3600 seconds, --warm-up 0 to 600.")
        }
        guard (1...20_000).contains(connections), (1...20_000).contains(maxConnections) else {
            throw ValidationError("--connections and --max-connections are 1 to 20000.")
        }
        if let rate, !(1...1_000_000).contains(rate) { throw ValidationError("--rate is 1 to 1000000 a second.") }
        guard (1...1_000_000).contains(orders), (1...1_000_000).contains(items), (1...1_000_000).contains(users),
            (0..<orders).contains(first)
        else {
            throw ValidationError("--orders, --items and --users are 1 to 1000000, --first less than --orders.")
        }
        guard (2...100).contains(basket) else { throw ValidationError("--basket is 2 to 100 items.") }
    }

    func run() throws {
        let port = try Setting.port(port, "port", default: 8000)
        let internalPort = try Setting.port(internalPort, "internal-port", default: 8100)
        do {
            if initialize { try makeData(port) }
            var report = try offer(port)
            if audit { report.booksBalance = try audit(internalPort) }
            try tell(report)
        } catch let failure as SocketFailure {
            complain("\(failure)")
            throw ExitCode(2)
        }
    }

    private func makeData(_ port: Int) throws {
        var paths = ["/stock/batch_init/\(items)/1000000000/1", "/payment/batch_init/\(users)/1000000000"]
        if scenario == .checkout { paths.append("/orders/batch_init/\(orders)/\(items)/\(users)/1") }
        for path in paths {
            let answer = try SimpleClient.ask("POST", path, port: port)
            guard answer.status == 200 else {
                complain("POST \(path) was answered with \(answer.status): \(String(decoding: answer.body, as: UTF8.self))")
                throw ExitCode(2)
            }
        }
        if scenario == .checkout, basket > 2 { try fillBaskets(port) }
    }

    private func fillBaskets(_ port: Int) throws {
        let scenario = BasketScenario(orders: first..<orders, additions: basket - 2, items: items)
        let plan = LoadPlan(
            port: port, loop: .closed(connections: 256), warmUpSeconds: 0, durationSeconds: 3_600, spins: spin)
        let report = try Generator(plan, scenario).run("baskets") { _, _ in }
        guard report.ranOut, report.unanswered == 0, scenario.failed == 0 else {
            complain("The baskets were not filled: \(scenario.failed) additions refused, \(report.unanswered) unanswered.")
            throw ExitCode(2)
        }
    }

    private func offer(_ port: Int) throws -> Report {
        let loop: LoadPlan.Loop =
            rate.map { .open(perSecond: $0, connections: connections, maximumConnections: maxConnections) }
            ?? .closed(connections: connections)
        let plan = LoadPlan(port: port, loop: loop, warmUpSeconds: warmUp, durationSeconds: duration, spins: spin)
        let checkouts = CheckoutScenario(orders: first..<orders)
        let source: any Scenario
        switch scenario {
        case .checkout: source = checkouts
        case .find: source = FindScenario(items: items)
        case .journey: source = JourneyScenario(items: items, users: users)
        }
        var report = try Generator(plan, source).run(scenario.rawValue) { second, isWarmUp in
            complain(Self.line(second, isWarmUp))
        }
        if scenario == .checkout { report.firstUnused = checkouts.firstUnused }
        return report
    }

    private func audit(_ port: Int) throws -> Bool {
        let answer = try SimpleClient.ask("GET", "/audit", port: port)
        if answer.status != 200 { complain("GET /audit: \(String(decoding: answer.body, as: UTF8.self))") }
        return answer.status == 200
    }

    private func tell(_ report: Report) throws {
        if let json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
            try encoder.encode(report).write(to: URL(filePath: json))
        }
        if report.booksBalance == false {
            complain("The books do NOT balance: this run has no result.")
            throw ExitCode(1)
        }
        print(report.table + (report.booksBalance == true ? "The books balance." : "The books were not checked."))
    }

    private static func line(_ second: Second, _ isWarmUp: Bool) -> String {
        var text = "\(isWarmUp ? "warm-up" : "second") \(second.second + 1): \(second.succeeded) ok"
        text += String(format: " (p50 %.2f, p99 %.2f ms)", second.p50, second.p99)
        if second.refused > 0 { text += String(format: ", %d refused (p99 %.2f ms)", second.refused, second.refusedP99) }
        if second.failed > 0 { text += ", \(second.failed) failed" }
        if second.unsent > 0 { text += ", \(second.unsent) not sent" }
        return text
    }

    private func complain(_ text: String) {
        FileHandle.standardError.write(Data((text + "\n").utf8))
    }
}
