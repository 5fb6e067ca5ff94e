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
        let stores = try stores.stores()
        if stores.isEmpty { throw ValidationError("The stores are missing: --store redis://host:port, for each service one.") }
        let shop = Self.newShop
        do {
            let hasWritten = try StoreReader.with(stores) { reader, promise in
                RedisEpoch.initialize(reader.clients, shop: shop, secrets: Self.newSecret) {
                    promise.completeWith($0.mapError { $0 })
                }
            }
            print(hasWritten ? "\(stores.count) stores are initialized." : "Nothing to do: the stores are initialized already.")
        } catch {
            FileHandle.standardError.write(Data("kontor: \(error)\n".utf8))
            throw ExitCode(1)
        }
    }

    /// The id of a new shop: 128 random bits, in hexadecimal so that logs can show it.
    private static var newShop: [UInt8] {
        var random = SystemRandomNumberGenerator()
        return Array((0..<2).map { _ in String(random.next() as UInt64, radix: 16) }.joined().utf8)
    }

    /// A new secret from which ids are derived.
    @Sendable static func newSecret() -> [UInt8] {
        var random = SystemRandomNumberGenerator()
        return (0..<RedisEpoch.secretBytes).map { _ in UInt8.random(in: 0...255, using: &random) }
    }
}
