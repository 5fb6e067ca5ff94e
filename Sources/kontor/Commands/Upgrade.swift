// `kontor upgrade`: raises the format of the Redis stores, once no process of an older release runs over them.

import ArgumentParser
import Foundation
import KontorRedis

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
            print(
                hasWritten
                    ? "\(stores.count) stores are upgraded. Running processes begin anew, which takes them a second."
                    : "Nothing to do: the stores are in the newest format already.")
        } catch {
            FileHandle.standardError.write(Data("kontor: \(error)\n".utf8))
            throw ExitCode(1)
        }
    }
}
