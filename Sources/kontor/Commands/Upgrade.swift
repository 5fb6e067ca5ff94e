// `kontor upgrade`: raises the format of the Redis stores, once no process of an older release runs over them.

import ArgumentParser
import Foundation
import KontorRedis
import RedisClient

struct Upgrade: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Ends the upgrade of a shop over Redis: from now on records are written in the newest format.",
        discussion: """
            Over Redis processes of two releases can run side by side, and the newer ones write what the older ones can read. \
            When all processes are of the new release, run this once, with the stores of all three services. From then on \
            older releases refuse to start over these stores: there is no way back but a backup. \
            (The embedded store is upgraded at the first start of a new release.)
            """)

    @OptionGroup var stores: StoreOptions

    @Flag(help: "Raise the format. Without it nothing is done.")
    var finish = false

    func run() throws {
        let stores = try stores.stores()
        if stores.isEmpty { throw ValidationError("The stores are missing: --store redis://host:port, for each service one.") }
        guard finish else {
            throw ValidationError("Nothing was done: when all processes are of this release, run it with --finish.")
        }
        do {
            let hasWritten = try StoreReader.with(stores) { reader, promise in
                RedisEpoch.upgrade(reader.clients, secrets: Init.newSecret) { promise.completeWith($0.mapError { $0 }) }
            }
            if hasWritten {
                print("\(stores.count) stores are upgraded. Running processes begin anew, which takes them a second.")
            }
            let listed = try completeLists(of: stores)
            if listed > 0 {
                print("\(listed) accounts and orders are listed.")
            } else if !hasWritten {
                print("Nothing to do: the stores are in the newest format already, and their lists are complete.")
            }
        } catch {
            FileHandle.standardError.write(Data("kontor: \(error)\n".utf8))
            throw ExitCode(1)
        }
    }

    /// Makes the lists that the older release did not write, and says how far that is.
    private func completeLists(of stores: [RedisOptions]) throws -> Int {
        try StoreReader.with(stores) { reader, promise in
            var told = ContinuousClock.now
            RedisLists.complete(reader.clients) { count in
                if told.duration(to: .now) < .seconds(5) { return }
                told = .now
                print("Lists are being made: \(count) accounts and orders so far ...")
            } completion: {
                promise.completeWith($0.mapError { $0 })
            }
        }
    }
}
