// `kontor bench`: puts load on a shop on this machine, measures its answers, and audits its books.

import ArgumentParser
import Foundation
import KontorBench

struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Offers load to a shop on this machine and measures it: rate, latencies, refusals. Then checks the books.",
        discussion: """
            checkout       checks out unpaid orders of two random items, each once (made by batch_init before)
            checkout-hot   the same, with all orders on one item
            mix            the six scenarios of the public stress test: creates items, users and orders, fills and empties \
            them, and checks out what can be paid, what is not in stock and what is too dear
            find           reads items
            list           reads the newest 100 orders of one user after the other (made by batch_init before)
            journey        creates an order, adds an item, checks it out: the store grows
            order          the same in one request of /v1, with two items: creates an order and checks it out

            Without --rate it is a closed loop: --connections clients, each waits for its answer. With --rate it is an open \
            loop, and latency counts from the moment at which a request should have been sent, so that a stall is not hidden. \
            It makes items, users and orders "0", "1", ...: use it on a directory that may be thrown away. If the shop has such \
            already, it refuses; with --replace it replaces them.

            A shop in one process is audited by its operators' port (--internal-port), three services over Redis by their \
            stores: --port is that of the gateway, and --store is given three times. A run whose books do not balance, or whose \
            answers contradict the contract, has no result: exit status 1, and nothing is written.
            """)

    enum Load: String, ExpressibleByArgument, CaseIterable {
        case checkout, mix, find, list, journey, order
        case checkoutHot = "checkout-hot"

        var checksOut: Bool { self == .checkout || self == .checkoutHot }
        /// Whether orders are made before.
        var needsOrders: Bool { checksOut || self == .list }
    }

    @Argument(help: "What to ask for: checkout, checkout-hot, mix, find, list, journey or order.")
    var scenario: Load

    @Option(help: "The shop's port on 127.0.0.1. (default: 8000; environment: KONTOR_PORT)")
    var port: Int?

    @Option(help: "The operators' port, for the audit. (default: 8100; environment: KONTOR_INTERNAL_PORT)")
    var internalPort: Int?

    @OptionGroup var asking: AskingOptions

    @OptionGroup(title: "For the audit of three services over Redis, instead of --internal-port")
    var stores: StoreOptions

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

    @Option(help: "Items to make; checkout-hot has one.")
    var items = 1_000

    @Option(help: "Users to make.")
    var users = 100_000

    @Flag(inversion: .prefixedNo, help: "Make items, users and orders before.")
    var initialize = true

    @Flag(help: "Replace the items, users and orders \"0\", \"1\", ... that the shop has already.")
    var replace = false

    @Flag(inversion: .prefixedNo, help: "Check the books after.")
    var audit = true

    @Flag(help: "Never sleep: for a generator with a processor to itself.")
    var spin = false

    @Option(help: "Also write the result to this file, as JSON with a series by second.")
    var json: String?

    @Option(help: "Also write the result to this file, as one page of HTML with pictures.")
    var report: String?

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
        let tls = try asking.client()
        let shop = Endpoint(port: try Setting.port(port, "port", default: 8000), tls: tls)
        let books = try books(tls)
        do {
            if initialize { try makeData(shop) }
            try tell(try measure(shop, books))
        } catch let failure as SocketError {
            complain("\(failure)")
            throw ExitCode(2)
        } catch let failure as NoResult {
            complain("\(failure) This run has no result.")
            throw ExitCode(1)
        }
    }

    /// The books to audit afterwards; nil: none are.
    private func books(_ tls: ClientTLS?) throws -> BenchBooks? {
        guard audit else { return nil }
        let stores = internalPort == nil ? try stores.stores() : []
        if !stores.isEmpty { return .stores(stores) }
        return .page(Endpoint(port: try Setting.port(internalPort, "internal-port", default: 8100), tls: tls))
    }

    private var itemCount: Int { scenario == .checkoutHot ? 1 : items }
}

// MARK: Before

extension Bench {
    /// What a run makes: its `batch_init`, and the read of the first record that this would replace.
    private struct Making {
        let what: String
        let path: String
        let first: String
    }

    private var makings: [Making] {
        if scenario == .mix { return [] }
        let accounts = [
            Making(what: "items", path: "/stock/batch_init/\(itemCount)/1000000000/1", first: "/stock/find/0"),
            Making(what: "users", path: "/payment/batch_init/\(users)/1000000000", first: "/payment/find_user/0"),
        ]
        guard scenario.needsOrders else { return accounts }
        let path = "/orders/batch_init/\(orders)/\(itemCount)/\(users)/1"
        return accounts + [Making(what: "orders", path: path, first: "/orders/find/0")]
    }

    /// Refuses to replace what the shop has. Only `batch_init` makes records with numbers for ids, and the first of
    /// them is 0: without it there are none.
    private func refuseToReplace(_ shop: Endpoint) throws {
        for making in makings {
            let answer = try SimpleClient.ask("GET", making.first, at: shop)
            if answer.status == 404 { continue }
            guard answer.status == 200 else {
                complain(
                    "GET \(making.first) was answered with \(answer.status): \(String(decoding: answer.body, as: UTF8.self))")
                throw ExitCode(2)
            }
            complain(
                """
                The shop on port \(shop.port) has \(making.what) "0", "1", ..., which this run would replace. Nothing was changed. \
                Give --replace if they may go, or use a new directory.
                """)
            throw ExitCode(2)
        }
    }

    private func makeData(_ shop: Endpoint) throws {
        if !replace { try refuseToReplace(shop) }
        for path in makings.map(\.path) {
            let answer = try SimpleClient.ask("POST", path, at: shop)
            guard answer.status == 200 else {
                complain("POST \(path) was answered with \(answer.status): \(String(decoding: answer.body, as: UTF8.self))")
                throw ExitCode(2)
            }
        }
        if scenario.checksOut, basket > 2 { try fillBaskets(shop) }
    }

    private func fillBaskets(_ shop: Endpoint) throws {
        let scenario = BasketScenario(orders: first..<orders, additions: basket - 2, items: itemCount)
        let plan = LoadPlan(
            port: shop.port, tls: shop.tls, loop: .closed(connections: 256), warmUpSeconds: 0, durationSeconds: 3_600,
            spins: spin)
        let report = try Generator(plan, scenario).run("baskets") { _, _ in }
        guard report.ranOut, report.unanswered == 0, scenario.failed == 0 else {
            complain("The baskets were not filled: \(scenario.failed) additions refused, \(report.unanswered) unanswered.")
            throw ExitCode(2)
        }
    }
}

// MARK: The load, and its books

/// The result of a run: its measurements, and what the audit found.
private struct Outcome {
    var report: Report
    var facts: [(name: String, text: String)] = []
}

extension Bench {
    private func measure(_ shop: Endpoint, _ books: BenchBooks?) throws -> Outcome {
        let checkouts = CheckoutScenario(orders: first..<orders)
        let mix = MixScenario()
        let source: any Scenario
        switch scenario {
        case .checkout, .checkoutHot: source = checkouts
        case .mix: source = mix
        case .find: source = ReadScenario("/stock/find/", of: items)
        case .list: source = ReadScenario("/v1/orders?limit=100&user_id=", of: users)
        case .journey: source = JourneyScenario(items: items, users: users)
        case .order: source = OrderScenario(items: items, users: users, run: Int.random(in: 0..<1_000_000_000))
        }
        var outcome = Outcome(report: try offer(shop, source))
        if scenario.checksOut { outcome.report.firstUnused = checkouts.firstUnused }
        if scenario == .mix {
            outcome.facts.append(
                ("rounds that went as they must", "\(mix.completed.reduce(0, +)), of the six scenarios \(mix.completed)"))
            if mix.abandoned > 0 { outcome.facts.append(("rounds given up", "\(mix.abandoned)")) }
        }
        if let wrong = source.contradictions.first {
            throw NoResult(description: "The answers contradict the contract: \(wrong).")
        }
        if let books {
            // If all orders were made by this run, it is known how many are paid.
            let paid = scenario.checksOut && initialize ? (orders, checkouts.possiblyPaid) : nil
            outcome.facts.append(("books", try books.balance(paid: paid)))
            outcome.report.booksBalance = true
        }
        return outcome
    }

    private func offer(_ shop: Endpoint, _ source: any Scenario) throws -> Report {
        let loop: LoadPlan.Loop =
            rate.map { .open(perSecond: $0, connections: connections, maximumConnections: maxConnections) }
            ?? .closed(connections: connections)
        let plan = LoadPlan(
            port: shop.port, tls: shop.tls, loop: loop, warmUpSeconds: warmUp, durationSeconds: duration, spins: spin)
        var progress = RunProgress(totalSeconds: warmUp + duration, isTerminal: isatty(STDERR_FILENO) == 1)
        defer { say(progress.end) }
        return try Generator(plan, source).run(scenario.rawValue) { second, isWarmUp in
            say(progress.text(second, isWarmUp: isWarmUp))
        }
    }
}

// MARK: After

extension Bench {
    private func tell(_ outcome: Outcome) throws {
        if let json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
            try encoder.encode(outcome.report).write(to: URL(filePath: json))
        }
        if let report {
            try Data(outcome.report.page(facts + outcome.facts).utf8).write(to: URL(filePath: report))
        }
        print(outcome.report.table, terminator: "")
        for fact in outcome.facts { print("\(fact.name): \(fact.text)") }
        print(outcome.report.booksBalance == true ? "The books balance." : "The books were not checked.")
    }

    /// The facts that the page shows beside the figures.
    private var facts: [(name: String, text: String)] {
        let load = rate.map { "open loop, \($0) requests a second" } ?? "closed loop, \(connections) connections"
        var facts = [
            ("when", Date().formatted(.iso8601)),
            ("load", "\(load), \(duration) s after a warm-up of \(warmUp) s"),
        ]
        if scenario.checksOut {
            facts.append(("orders", "\(orders), of \(basket) of \(itemCount) items each, for \(users) users"))
        }
        facts.append(("machine", "\(ProcessInfo.processInfo.processorCount) processors, shared by shop and generator"))
        facts.append(("kontor", Kontor.release))
        return facts
    }

    private func complain(_ text: String) { say(text + "\n") }

    private func say(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }
}
