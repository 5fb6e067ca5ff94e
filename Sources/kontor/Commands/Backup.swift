// `kontor backup` and `kontor restore`: one consistent cut of a store as one file, and a new store from it.

import ArgumentParser
import Foundation
import KontorEmbedded

struct Backup: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Writes one consistent cut of the store into one file, also while the shop runs.",
        discussion: """
            The file appears under its name once it is whole, synced and read back. Exit status: 0 done; 1 the file is there \
            already or cannot be written; 2 the store cannot be read.
            """)

    @Option(help: "The file to make. It must not be there yet.")
    var to: String

    @Option(help: "The directory of the store. (default: kontor-data; environment: KONTOR_DATA)")
    var data: String?

    func run() throws {
        let directory = try Setting.directory(data)
        let began = ContinuousClock().now
        do {
            let report = try StoreBackup(to: to).write(of: directory)
            print("Backed up \(directory) to \(to): \(report.summary) in \(seconds(since: began)) s.")
        } catch BackupError.store(let error) {
            try end(2, "the store in \(directory) cannot be read, and there is no backup: \(error)")
        } catch BackupError.file(.exists(let path)) where path != to {
            try end(
                1,
                """
                \(path) is there: another backup to \(to) is being written, or was killed. If none is, remove it, and run \
                this again
                """)
        } catch {
            try end(1, "there is no backup: \(error)")
        }
    }
}

struct Restore: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Makes a store in a new or empty directory from a backup.",
        discussion: """
            The whole backup is checked before anything is written. If it is interrupted, the directory cannot be served from; \
            run it again. Exit status: 0 done; 1 the directory is not empty or cannot be written; 2 the backup cannot be read, \
            or is not whole.
            """)

    @Option(help: "The backup's file.")
    var from: String

    @Option(help: "The directory to make the store in: new or empty. (default: kontor-data; environment: KONTOR_DATA)")
    var data: String?

    func run() throws {
        let directory = try Setting.directory(data)
        let began = ContinuousClock().now
        let restore = StoreRestore(from: from)
        do { _ = try restore.check() } catch {
            try end(2, "nothing was written, because the backup \(from) cannot be used: \(error)")
        }
        do {
            let report = try restore.run(to: directory, random: SystemRandom())
            print("Restored \(from) to \(directory): \(report.summary) in \(seconds(since: began)) s.")
            print("Open checkouts go on once it is served. Check its books: kontor audit --data \(directory)")
        } catch {
            try end(1, "the restore did not happen: \(error)")
        }
    }
}

extension BackupReport {
    fileprivate var summary: String {
        "\(census.accounts) accounts, \(census.orders) orders, \(census.openSagas) open checkouts, \(bytes) bytes"
    }
}

private func seconds(since began: ContinuousClock.Instant) -> String {
    String(format: "%.1f", (ContinuousClock().now - began) / .seconds(1))
}

/// Ends the command with a sentence and an exit status.
func end(_ status: Int32, _ sentence: String) throws -> Never {
    FileHandle.standardError.write(Data("kontor: \(sentence)\n".utf8))
    throw ExitCode(status)
}
