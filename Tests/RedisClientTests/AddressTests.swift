// Slots of keys, URLs of stores, commands as bytes.

import NIOCore
import Testing

@testable import RedisClient

@Suite struct SlotTests {
    @Test func `the checksum is CRC-16 XMODEM`() {
        #expect(HashSlot.crc16([]) == 0)
        #expect(HashSlot.crc16("123456789".utf8) == 0x31C3)
        #expect(HashSlot.crc16("a".utf8) == 0x7C87)
    }

    @Test(arguments: [("foo", 12_182), ("bar", 5_061), ("hello", 866), ("", 0), ("somekey", 11_058)])
    func `known keys have their slots`(key: String, slot: Int) {
        #expect(HashSlot.of(key.utf8) == slot)
    }

    @Test(arguments: [
        ("{user1000}.following", "user1000"), ("foo{bar}{zap}", "bar"), ("foo{{bar}}zap", "{bar"), ("a{}b}", "a{}b}"),
    ])
    func `a hash tag stands for its key`(key: String, tag: String) {
        #expect(HashSlot.of(key.utf8) == Int(HashSlot.crc16(tag.utf8)) % 16_384)
    }

    @Test(arguments: ["foo{}{bar}", "foo{bar", "foo}bar{", "{}", "{"])
    func `an empty or open tag is none`(key: String) {
        #expect(HashSlot.of(key.utf8) == Int(HashSlot.crc16(key.utf8)) % 16_384)
    }
}

@Suite struct URLTests {
    @Test func `a URL says where, as whom and how`() throws {
        let plain = try RedisURL("redis://localhost:7000")
        #expect(plain.seeds == [RedisAddress(host: "localhost", port: 7_000)])
        #expect(plain.user == nil && plain.password == nil && !plain.isTLS)
        let full = try RedisURL("rediss://us%40er:p%3A%2f%C3%A4ss@a:1,[::1]:2,10.0.0.1/")
        #expect(
            full.seeds == [
                RedisAddress(host: "a", port: 1), RedisAddress(host: "::1", port: 2),
                RedisAddress(host: "10.0.0.1", port: 6_379),
            ])
        #expect(full.user == "us@er" && full.password == "p:/äss" && full.isTLS)
        let userless = try RedisURL("redis://:pw@[fe80::1]/0")
        #expect(userless.user == nil && userless.password == "pw")
        #expect(userless.seeds == [RedisAddress(host: "fe80::1", port: 6_379)])
        #expect(userless.seeds[0].description == "[fe80::1]:6379")
    }

    @Test(arguments: [
        "", "redis:", "http://a", "redis://", "redis://a:", "redis://a:0", "redis://a:65536", "redis://a:+1", "redis://a:1,",
        "redis://user@a", "redis://user:@a", "redis://u:%4@a", "redis://u:%zz@a", "redis://u:%ff@a", "redis://a/1",
        "redis://a/0/", "redis://[::1", "redis://[::1]x:1", "redis://::1", "redis://a b", "redis://a?x=1", "redis://@a",
    ])
    func `what is no URL is refused in words that do not repeat it`(text: String) throws {
        let error = try #require(throws: RedisURLError.self) { try RedisURL(text) }
        #expect(error.description.count > 20)
        let secret = try #require(throws: RedisURLError.self) { try RedisURL("redis://u:secret%@a") }
        #expect(!secret.description.contains("secret"))
    }

    @Test func `a password that is kept elsewhere belongs to the user of the URL`() throws {
        let url = try RedisURL("redis://us%40er@a:1,b:2", password: "p:%/@")
        #expect(url.user == "us@er" && url.password == "p:%/@" && url.seeds.count == 2)
        let userless = try RedisURL("rediss://a", password: "pw")
        #expect(userless.user == nil && userless.password == "pw" && userless.isTLS)
        for text in ["redis://user:hunter2@a", "redis://:hunter2@a", "redis://user:@a"] {
            let error = try #require(throws: RedisURLError.self) { try RedisURL(text, password: "kept") }
            #expect(!error.description.contains("hunter2") && !error.description.contains("kept\""))
        }
        #expect(throws: RedisURLError.self) { try RedisURL("redis://user@a", password: "") }
    }

    @Test func `the password is never shown`() throws {
        let url = try RedisURL("redis://user:secret@a:1")
        let options = RedisOptions(url, name: "test")
        var dumped = ""
        dump(url, to: &dumped)
        dump(options, to: &dumped)
        let shown = "\(url)\(options)" + String(reflecting: url) + String(reflecting: options) + dumped
        #expect(!shown.contains("secret"))
        #expect(url.description == "redis://user:***@a:1/")
        #expect(options.description == url.description)
    }
}

@Suite struct CommandTests {
    @Test func `a command is an array of bulk strings`() {
        var command = RedisCommand("SET", argumentCount: 4)
        command.append("schlüssel")
        command.append([0, 13, 10] as [UInt8])
        command.append(String(repeating: "x", count: 12))
        command.append(-5)
        let expected = "*5\r\n$3\r\nSET\r\n$10\r\nschlüssel\r\n$3\r\n\0\r\n\r\n$12\r\nxxxxxxxxxxxx\r\n$2\r\n-5\r\n"
        #expect(String(buffer: command.encoded) == expected)
        #expect(command.missing == 0)
        #expect(String(buffer: RedisCommand("PING").encoded) == "*1\r\n$4\r\nPING\r\n")
        #expect(String(buffer: RedisCommand("A", "b", "").encoded) == "*3\r\n$1\r\nA\r\n$1\r\nb\r\n$0\r\n\r\n")
    }
}
