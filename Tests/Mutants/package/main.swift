// `kontor simulate`, without the rest of the command, and with the bug that KONTOR_BUG names (see schema.py).

import ArgumentParser
import Foundation
import KontorCore

struct Kontor: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "kontor", subcommands: [Simulate.self])
}

bug = ProcessInfo.processInfo.environment["KONTOR_BUG"].flatMap { Int($0) } ?? 0
Kontor.main()
