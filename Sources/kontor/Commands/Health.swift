// `kontor health`: asks the process that serves with the same settings whether it is well. Container runtimes call it.

import ArgumentParser
import KontorBench

struct Health: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Asks the shop or service that runs here whether it can serve requests.",
        discussion: """
            With the settings of `kontor serve`, so in its container it needs none. Exit status 0: it can; 1: it cannot now, or \
            does not answer within \(patienceSeconds) s.
            """)

    @Option(help: "The address that it listens on. (default: 127.0.0.1; environment: KONTOR_HOST)")
    var host: String?

    @Option(help: "Its public port. (default: 8000; environment: KONTOR_PORT)")
    var port: Int?

    @Flag(help: "Ask only whether it runs, not whether it can serve: it may wait for its store or for another service.")
    var live = false

    @OptionGroup var asking: AskingOptions

    /// How long it waits for an answer. Whoever runs it in a container waits longer.
    static let patienceSeconds = 3

    func run() throws {
        let path = live ? "/health/live" : "/health/ready"
        let endpoint = try asking.endpoint(
            Setting.text(host, "host", default: "127.0.0.1"), try Setting.port(port, "port", default: 8000))
        let status: Int
        do {
            status = try SimpleClient.ask("GET", path, at: endpoint, patienceSeconds: Self.patienceSeconds).status
        } catch {
            print("No answer from \(endpoint.host):\(endpoint.port): \(error)")
            throw ExitCode(1)
        }
        guard status == 200 else {
            print("Not \(live ? "alive" : "ready"): \(path) answers \(status).")
            throw ExitCode(1)
        }
        print(live ? "Alive." : "Ready.")
    }
}
