// Several scripted servers that say that they are a cluster: redirections, and maps that change.

import NIOCore
import Synchronization
import Testing

@testable import RedisClient

private let info = "$43\r\ncluster_state:ok\r\ncluster_current_epoch:1\r\n\r\n"

/// The ports of a cluster of scripted servers, that they learn when all of them listen.
private final class Ports: Sendable {
    private let value = Mutex<[Int]>([])

    func set(_ ports: [Int]) { value.withLock { $0 = ports } }

    /// What a node answers when asked for the map: each port owns an equal share of the slots.
    func answer(_ request: FakeRequest) -> FakeAnswer? {
        guard request.words[0] == "CLUSTER" else { return nil }
        if request.words[1] == "INFO" { return .reply(info) }
        let ports = value.withLock { $0 }
        let width = HashSlot.count / ports.count
        let ranges = ports.enumerated().map { index, port in
            "*3\r\n:\(index * width)\r\n:\((index + 1) * width - 1)\r\n*3\r\n$0\r\n\r\n:\(port)\r\n$2\r\nid\r\n"
        }
        return .reply("*\(ports.count)\r\n\(ranges.joined())")
    }
}

@Suite struct ClusterTests {
    @Test func `a redirection is followed, and changes the map`() throws {
        let new = try FakeServer { request in
            request.words[0] == "SET" ? .reply("+OK\r\n") : nil
        }
        let newPort = new.address.port
        let ports = Ports()
        let old = try FakeServer { request in
            request.words[0] == "SET"
                ? .reply("-MOVED 15495 :\(newPort)\r\n") : ports.answer(request)
        }
        ports.set([old.address.port])
        try withClient(old.options) { (client) throws in
            let before = client.changes.counted
            #expect(try client.send("SET", "a", "1") == .success(ok()))
            #expect(client.changes.counted > before)
        }
        #expect(new.names == ["SET"])
    }

    @Test func `many writes of a turn have one WAIT, and one that is sent on has its own`() throws {
        let new = try FakeServer { request in
            switch request.words[0] {
            case "SET": .reply("+OK\r\n")
            case "WAIT": .reply(":2\r\n")
            default: nil
            }
        }
        let newPort = new.address.port
        let ports = Ports()
        let old = try FakeServer { request in
            switch request.words[0] {
            case "SET": .reply(request.words[2] == "2" ? "-MOVED 15495 :\(newPort)\r\n" : "+OK\r\n")
            case "WAIT": .reply(":1\r\n")
            default: ports.answer(request)
            }
        }
        ports.set([old.address.port])
        try withClient(old.options) { (client) throws in
            let requests = (1...3).map { [RedisCommand("SET", "a", "\($0)")] }
            let outcomes = try client.sendAll(requests, then: RedisCommand("WAIT", "1", "100"), key: "a")
            #expect(outcomes.map(\.replies) == [1, 2, 1].map { [.simple("OK"), .integer($0)] })
        }
        #expect(old.names == ["SET", "SET", "SET", "WAIT"])
        #expect(new.names == ["SET", "WAIT"])
    }

    @Test func `who is told to ask elsewhere asks there, once and with ASKING`() throws {
        let new = try FakeServer { request in
            switch request.words[0] {
            case "ASKING": .reply("+OK\r\n")
            case "SET": .reply("+OK\r\n")
            case "WAIT": .reply(":1\r\n")
            default: nil
            }
        }
        let newPort = new.address.port
        let ports = Ports()
        let turns = Turns()
        let old = try FakeServer { request in
            switch request.words[0] {
            case "SET": .reply(turns.next() == 1 ? "-ASK 15495 127.0.0.1:\(newPort)\r\n" : "+OK\r\n")
            case "WAIT": .reply(":0\r\n")
            default: ports.answer(request)
            }
        }
        ports.set([old.address.port])
        try withClient(old.options) { (client) throws in
            #expect(try client.sendAll([write], key: "a") == [.success([.simple("OK"), .integer(1)])])
            #expect(try client.sendAll([write], key: "a") == [.success([.simple("OK"), .integer(0)])])
        }
        #expect(new.names == ["ASKING", "SET", "ASKING", "WAIT"])
        #expect(old.names == ["SET", "WAIT", "SET", "WAIT"])
    }

    @Test func `a request for all masters reaches each, and reports each`() throws {
        let ports = Ports()
        let script: FakeServer.Script = { request in
            request.words[0] == "SCRIPT" ? .reply("+OK\r\n") : ports.answer(request)
        }
        let first = try FakeServer(script)
        let second = try FakeServer { $0.words[0] == "SCRIPT" ? .close : script($0) }
        ports.set([first.address.port, second.address.port])
        try withClient(first.options) { (client) throws in
            let results = try client.sendToAllMasters("SCRIPT", "LOAD", "x")
            let outcomes = Dictionary(uniqueKeysWithValues: results)
            #expect(outcomes.count == 2)
            #expect(outcomes[first.address] == .success(ok()))
            #expect(outcomes[second.address]?.isUnknown == true)
        }
        #expect(first.names == ["SCRIPT"] && second.names == ["SCRIPT"])
    }

    @Test func `each slot's requests go to its master, and on to the next when the map changes`() throws {
        let ports = Ports()
        let script: FakeServer.Script = { $0.words[0] == "SET" ? .reply("+OK\r\n") : ports.answer($0) }
        let first = try FakeServer(script)
        let second = try FakeServer(script)
        let third = try FakeServer(script)
        ports.set([first.address.port, second.address.port])
        try withClient(first.options) { (client) throws in
            #expect(try client.send("SET", "b", "3300") == .success(ok()))
            #expect(try client.send("SET", "a", "15495") == .success(ok()))
            #expect(first.names.count == 1 && second.names.count == 1)
            // The second dies, the third takes its place.
            ports.set([first.address.port, third.address.port])
            try second.stop()
            second.dropConnections()
            let outcome = try client.send("SET", "a", "15495")
            #expect(outcome == .success(ok()) || outcome.isUnknown)
            #expect(try client.send("SET", "a", "15495") == .success(ok()))
            #expect(try client.loop.submit { client.client.value.masters.contains(third.address) }.wait())
        }
        #expect(!third.names.isEmpty)
    }
}
