// The command `kontor`: its subcommands, and where their settings come from.

import ArgumentParser
import Foundation

@main
struct Kontor: ParsableCommand {
    /// The version of this program (semantic versioning). It stands here only; a tidy test looks for copies.
    static let release = "0.2.0"

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
        version: release,
        subcommands: [
            Serve.self, Health.self, Init.self, Upgrade.self, AuditBooks.self, Backup.self, Restore.self, Doctor.self,
            Token.self, Trail.self, Bench.self, Simulate.self,
        ])
}

/// Settings from the command line, else from the environment, else a default.
enum Setting {
    static func text(_ option: String?, _ name: String, default fallback: String) -> String {
        option ?? variable(name) ?? fallback
    }

    /// The directory of the store. An empty name is refused: in a script it is a variable that was never set, and the
    /// default would be a new shop.
    static func directory(_ option: String?) throws -> String {
        let text = option ?? ProcessInfo.processInfo.environment[key("data")] ?? "kontor-data"
        if text.isEmpty { throw ValidationError("--data (\(key("data"))) is empty: name the store's directory.") }
        return text
    }

    /// A setting with a fixed set of values; the first one is the default.
    ///
    /// - Throws: a message that names the setting, if the value is none of them.
    static func choice(_ option: String?, _ name: String, of choices: [String]) throws -> String {
        let chosen = text(option, name, default: choices[0])
        if choices.contains(chosen) { return chosen }
        throw ValidationError("--\(name) (\(key(name))) is \"\(chosen)\": it must be \(choices.joined(separator: " or ")).")
    }

    /// A setting that is a list, with commas between its values.
    static func list(_ option: String?, _ name: String) -> [String] {
        text(option, name, default: "").split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
    }

    static func port(_ option: Int?, _ name: String, default fallback: Int) throws -> Int {
        try number(option, name, default: fallback, in: 0...65_535)
    }

    /// A setting that is a number.
    ///
    /// - Throws: a message that names the setting, if the value is not a number within its bounds.
    static func number(
        _ option: Int?, _ name: String, default fallback: Int, in bounds: ClosedRange<Int>
    ) throws -> Int {
        let text = option.map(String.init) ?? variable(name) ?? String(fallback)
        if let number = Int(text), bounds.contains(number) { return number }
        throw ValidationError(
            "--\(name) (\(key(name))) is \"\(text)\": it must be a number from \(bounds.lowerBound) to \(bounds.upperBound).")
    }

    private static func variable(_ name: String) -> String? {
        let value = ProcessInfo.processInfo.environment[key(name)]
        return value?.isEmpty == true ? nil : value
    }

    /// The name of a setting in the environment.
    static func key(_ name: String) -> String {
        "KONTOR_" + name.uppercased().replacingOccurrences(of: "-", with: "_")
    }
}
