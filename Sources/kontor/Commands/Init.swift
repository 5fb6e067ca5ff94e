// `kontor init`: turns new Redis stores into the stores of one shop, once.

import ArgumentParser
import Foundation
import KontorRedis

struct Init: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Marks the new, empty Redis stores of the three services as one shop's.",
        discussion: """
            To be run once, with the stores of all three services. It writes one id to every master if all of them are empty, does \
            nothing if all bear the same one, and refuses otherwise: a Redis that has lost its data must never be served from. \
            (The embedded store needs none of this.)
            """)

    @OptionGroup var stores: StoreOptions

    func run() throws {
        let urls = try stores.urls()
        if urls.isEmpty { throw ValidationError("The stores are missing: --store redis://host:port, for each service one.") }
        let epoch = Self.newEpoch
        do {
            let hasWritten = try StoreReader.with(urls) { reader, promise in
                RedisEpoch.initialize(reader.clients, epoch: epoch) { promise.completeWith($0.mapError { $0 }) }
            }
            print(hasWritten ? "\(urls.count) stores are initialized." : "Nothing to do: the stores are initialized already.")
        } catch {
            FileHandle.standardError.write(Data("kontor: \(error)\n".utf8))
            throw ExitCode(1)
        }
    }

    /// A new epoch: 128 random bits, in hexadecimal so that logs can show it.
    private static var newEpoch: [UInt8] {
        var random = SystemRandomNumberGenerator()
        return Array((0..<2).map { _ in String(random.next() as UInt64, radix: 16) }.joined().utf8)
    }
}
