// `kontor simulate`, without the rest of the command.

import ArgumentParser

struct Kontor: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "kontor", subcommands: [Simulate.self])
}

Kontor.main()
