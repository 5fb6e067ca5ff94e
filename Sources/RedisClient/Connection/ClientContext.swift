// What all parts of one client share.

import NIOCore

/// The options of a client, and the means with which its parts do their work.
struct ClientContext {
    let options: RedisOptions
    /// Where everything happens.
    let eventLoop: any EventLoop
    let transport: RedisTransport
    /// Draws a number from 0 up to and including its argument.
    let random: (Int64) -> Int64
    let log: RedisClient.Log
    let backoff: Backoff

    /// Reads the files for TLS. Throws if they cannot be used.
    init(
        _ options: RedisOptions, on eventLoop: any EventLoop, random: @escaping (Int64) -> Int64,
        log: @escaping RedisClient.Log
    ) throws {
        self.options = options
        self.eventLoop = eventLoop
        self.random = random
        self.log = log
        transport = try RedisTransport(options, on: eventLoop)
        backoff = Backoff(
            baseMilliseconds: options.backoffBaseMilliseconds, capMilliseconds: options.backoffCapMilliseconds,
            random: random)
    }
}
