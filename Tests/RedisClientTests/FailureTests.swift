// What a request comes to when servers refuse, redirect, fall silent or vanish: done, not sent, or unknown.

import NIOCore
import Testing

@testable import RedisClient

/// Patience that tests can wait for.
private func impatient(_ options: RedisOptions) -> RedisOptions {
    var options = options
    options.commandMilliseconds = 100
    return options
}

@Suite struct FailureTests {
    @Test(arguments: [
        "LOADING Redis is loading", "TRYAGAIN Multiple keys", "CLUSTERDOWN Hash slot not served", "READONLY You can't",
        "MASTERDOWN Link with MASTER is down", "MOVED 15495 :1",
    ])
    func `a request that was refused for now is sent again whole`(error: String) throws {
        let turns = Turns()
        let server = try FakeServer { request in
            switch request.words[0] {
            case "SET": .reply(turns.next() < 4 ? "-\(error)\r\n" : "+OK\r\n")
            case "WAIT": .reply(":1\r\n")
            default: nil
            }
        }
        try withClient(server.options) { (client) throws in
            #expect(try client.sendAll([write], key: "a") == [.success([.simple("OK"), .integer(1)])])
        }
        #expect(server.names == Array(repeating: ["SET", "WAIT"], count: 4).flatMap { $0 })
    }

    @Test func `a request that is refused until its deadline is not sent`() throws {
        let server = try FakeServer { $0.words[0] == "SET" ? .reply("-LOADING Redis is loading\r\n") : nil }
        try withClient(server.options) { (client) throws in
            #expect(try client.send("SET", "a", "1", seconds: 0.1) == .failure(.notSent("LOADING Redis is loading")))
            #expect(try client.send("SET", "a", "1", seconds: -1).isNotSent)
        }
        #expect(server.names.count > 1)
    }

    @Test func `other errors are replies`() throws {
        let server = try FakeServer { $0.words[0] == "EVALSHA" ? .reply("-NOSCRIPT No matching script.\r\n") : nil }
        try withClient(server.options) { (client) throws in
            #expect(try client.send("EVALSHA", "x", "0") == .success([.error("NOSCRIPT No matching script.")]))
        }
        #expect(server.names == ["EVALSHA"])
    }

    @Test(arguments: [FakeAnswer.close, .closeOutput, .silence, .reply("?\r\n"), .replyAndClose("$5\r\nab")])
    func `a write on a connection that ends is unknown, and never sent again`(answer: FakeAnswer) throws {
        let server = try FakeServer { $0.words[0] == "SET" ? answer : nil }
        try withClient(impatient(server.options)) { (client) throws in
            #expect(try client.send("SET", "a", "1").isUnknown)
        }
        #expect(server.names == ["SET"])
    }

    @Test func `a write whose last reply is missing is unknown`() throws {
        let server = try FakeServer { request in
            switch request.words[0] {
            case "SET": .reply("+OK\r\n")
            case "WAIT": .close
            default: nil
            }
        }
        try withClient(server.options) { (client) throws in #expect(try client.sendAll([write], key: "a")[0].isUnknown) }
        #expect(server.names == ["SET", "WAIT"])
    }

    @Test func `a write that was refused is sent again though its connection ended`() throws {
        let turns = Turns()
        let server = try FakeServer { request in
            switch request.words[0] {
            case "SET": .reply(turns.next() == 1 ? "-LOADING x\r\n" : "+OK\r\n")
            case "WAIT": turns.next() == 2 ? .close : .reply(":1\r\n")
            default: nil
            }
        }
        try withClient(server.options) { (client) throws in
            #expect(try client.sendAll([write], key: "a") == [.success([.simple("OK"), .integer(1)])])
        }
    }

    @Test(arguments: [FakeAnswer.close, .closeOutput, .silence, .replyAndClose("$5\r\nab")])
    func `a read on a connection that ends is sent again on another`(answer: FakeAnswer) throws {
        let turns = Turns()
        let server = try FakeServer { request in
            guard request.words[0] == "GET" else { return nil }
            return turns.next() < 3 ? answer : .reply("$1\r\n1\r\n")
        }
        try withClient(impatient(server.options)) { (client) throws in
            let before = client.changes.counted
            let outcome = try client.send("GET", "a", lane: .reads)
            #expect(outcome.replies?.first?.string == "1")
            #expect(client.changes.counted >= before + 2)
        }
        #expect(Set(server.requests.map(\.connection)).count >= 3)
    }

    @Test func `a read whose answer is too long fails, and the others go on`() throws {
        let server = try FakeServer { request in
            guard request.words[0] == "GET" else { return nil }
            return .reply(request.words[1] == "long" ? "$5000\r\n" : "$1\r\n1\r\n")
        }
        var options = server.options
        options.maximumReplyBytes = 4_096
        try withClient(options) { (client) throws in
            let requests = ["a", "long", "b"].map { [RedisCommand("GET", $0)] }
            let outcomes = try client.sendAll(requests, lane: .reads)
            #expect(outcomes[0].replies != nil && outcomes[1].isNotSent && outcomes[2].replies != nil)
        }
    }

    @Test func `what is sent while there is no connection waits for it, in bounds`() throws {
        let server = try FakeServer { $0.words[0] == "SET" ? .reply("+OK\r\n") : nil }
        var options = server.options
        options.maximumHeldRequests = 10
        try withClient(options) { (client) throws in
            let outcomes = try client.sendAll(Array(repeating: [RedisCommand("SET", "a", "1")], count: 12), key: "a")
            #expect(outcomes.filter { $0 == .success(ok()) }.count == 10)
            #expect(outcomes.filter(\.isNotSent).count == 2)
        }
        #expect(Set(server.requests.map(\.connection)).count == 1)
    }

    @Test func `a request that waits for a server that is gone is not sent`() throws {
        let server = try FakeServer { _ in nil }
        let client = try TestClient(server.options)
        try client.start()
        try server.stop()
        #expect(try client.send("SET", "a", "1", seconds: 0.2).isNotSent)
        #expect(try client.send("GET", "a", lane: .reads, seconds: 0.2).isNotSent)
        try client.close()
    }

    @Test func `a client without a server says why it has not started`() throws {
        let server = try FakeServer { $0.words[0] == "HELLO" ? .reply("-WRONGPASS invalid\r\n") : nil }
        let client = try TestClient(server.options)
        let failure = try #require(throws: RedisClientError.self) { try client.start(seconds: 1) }
        #expect(failure.reason.contains("WRONGPASS"))
        #expect(try client.send("GET", "a", seconds: 0.05).isNotSent)
        try client.close()
    }

    @Test func `closing fails what was sent as unknown and what was not as not sent`() throws {
        let server = try FakeServer { $0.words[0] == "HELLO" && $0.connection == 2 ? .silence : nil }
        let client = try TestClient(server.options)
        try client.start()
        let sent = client.begin([write], key: "a")
        try server.waitFor(1, "WAIT")
        let waiting = client.begin([read], lane: .reads)
        try server.waitFor(3, "HELLO")
        try client.close()
        #expect(try sent.wait()[0].isUnknown)
        #expect(try waiting.wait()[0].isNotSent)
        #expect(try client.send("GET", "a").isNotSent)
    }

    @Test func `reads do not queue behind a write that is not answered`() throws {
        let server = try FakeServer { $0.words[0] == "GET" ? .reply("_\r\n") : nil }
        try withClient(server.options) { (client) throws in
            let held = client.begin([write], key: "a")
            try server.waitFor(1, "WAIT")
            #expect(try client.send("GET", "a", lane: .reads) == .success([.null]))
            try client.close()
            #expect(try held.wait()[0].isUnknown)
        }
    }

    @Test func `pushes are not taken for replies, and replies to nothing end the connection`() throws {
        let turns = Turns()
        let server = try FakeServer { request in
            guard request.words[0] == "GET" else { return nil }
            return .reply(turns.next() == 1 ? ">1\r\n+hello\r\n+1\r\n" : "+2\r\n+3\r\n")
        }
        try withClient(server.options) { (client) throws in
            #expect(try client.send("GET", "a", lane: .reads) == .success([.simple("1")]))
            #expect(try client.send("GET", "a", lane: .reads) == .success([.simple("2")]))
            _ = try client.send("GET", "a", lane: .reads)
        }
        #expect(Set(server.requests.map(\.connection)).count == 2)
    }

    @Test func `requests that end together are all told, also if the first one's owner closes the client`() throws {
        let server = try FakeServer { request in
            switch request.words[0] {
            case "SET": .reply("+OK\r\n")
            case "WAIT": .reply(":1\r\n")
            default: nil
            }
        }
        let client = try TestClient(server.options)
        try client.start()
        let told = (0..<3).map { _ in client.loop.makePromise(of: Outcome.self) }
        let closed = client.loop.makePromise(of: Void.self)
        client.loop.execute {
            for promise in told {
                client.client.value.send(
                    [RedisCommand("SET", "a", "1")], then: RedisCommand("WAIT", "1", "100"), slot: 0, lane: .writes,
                    deadline: .now() + .seconds(10)
                ) { outcome in
                    promise.succeed(outcome)
                    if promise.futureResult === told[0].futureResult { client.client.value.close { closed.succeed() } }
                }
            }
        }
        for promise in told {
            let outcome = try promise.futureResult.within(seconds: 5).wait()
            #expect(outcome == .success([.simple("OK"), .integer(1)]))
        }
        try closed.futureResult.within(seconds: 5).wait()
        try server.stop()
    }

    @Test func `what is sent when a node is reached again goes before what waited`() throws {
        let turns = Turns()
        let server = try FakeServer { request in
            switch request.words[0] {
            case "GET": turns.next() == 1 ? .close : .reply("$1\r\n1\r\n")
            case "PING": .reply("+PONG\r\n")
            default: nil
            }
        }
        try withClient(server.options) { (client) throws in
            try client.loop.submit {
                let inner = client.client.value
                inner.didChange = { _ in
                    inner.send([RedisCommand("PING")], slot: 0, lane: .reads, deadline: .distantFuture) { _ in }
                }
            }.wait()
            #expect(try client.send("GET", "a", lane: .reads).replies != nil)
        }
        #expect(server.names == ["GET", "PING", "GET"])
    }
}
