// The command `kontor`: its subcommands, and where their settings come from.

import ArgumentParser
import Foundation

@main
struct Kontor: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kontor",
        abstract: "The backend of a shop: orders, payment and stock, with a checkout that happens exactly once.",
        discussion: """
            Start a shop:      kontor serve
            Check its books:   kontor audit --data kontor-data
            Keep a copy:       kontor backup --to shop.backup --data kontor-data
            How is it?         kontor doctor --data kontor-data

            Every option can also be given as an environment variable: --internal-port as KONTOR_INTERNAL_PORT.
            """,
        version: "0.1.0",
        subcommands: [Serve.self, AuditBooks.self, Backup.self, Restore.self, Doctor.self])
}

/// Settings from the command line, else from the environment, else a default.
enum Setting {
    static func text(_ option: String?, _ name: String, default fallback: String) -> String {
        option ?? variable(name) ?? fallback
    }

    /// - Throws: a message that names the variable, if it is set and not a port.
    static func port(_ option: Int?, _ name: String, default fallback: Int) throws -> Int {
        let chosen: Int
        if let option {
            chosen = option
        } else if let text = variable(name) {
            guard let number = Int(text) else { throw ValidationError("\(key(name)) is \"\(text)\", which is not a port.") }
            chosen = number
        } else {
            chosen = fallback
        }
        guard (0...65_535).contains(chosen) else {
            throw ValidationError("\(chosen) is not a port: it must be between 0 and 65535.")
        }
        return chosen
    }

    private static func variable(_ name: String) -> String? {
        let value = ProcessInfo.processInfo.environment[key(name)]
        return value?.isEmpty == true ? nil : value
    }

    private static func key(_ name: String) -> String {
        "KONTOR_" + name.uppercased().replacingOccurrences(of: "-", with: "_")
    }
}
