// What is said of files that cannot be used, and that a process with good ones keeps those.

import Foundation
import Testing

@testable import KontorTLS

/// A directory with certificates that openssl made, removed with the object.
final class Certificates {
    let directory: String
    /// Within the days for which all of them are valid.
    let now = Int64(Date().timeIntervalSince1970) + 60

    init() throws {
        directory = NSTemporaryDirectory() + "kontor-tls-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
        for name in ["one", "two"] {
            try run(
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
                "/CN=\(name)", "-addext", "subjectAltName=DNS:\(name).test", "-keyout", path("\(name).key"), "-out",
                path("\(name).pem"))
        }
        try run("ec", "-in", path("one.key"), "-aes256", "-passout", "pass:word", "-out", path("encrypted.key"))
        try Data("no certificate\n".utf8).write(to: URL(filePath: path("text")))
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    func path(_ name: String) -> String { "\(directory)/\(name)" }

    func files(_ certificate: String, _ key: String, clientAuthorities: String? = nil) -> TLSFiles {
        TLSFiles(
            pair: TLSFiles.Pair(certificate: path(certificate), key: path(key)),
            clientAuthorities: clientAuthorities.map(path))
    }

    private func run(_ words: String...) throws {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/openssl")
        process.arguments = words
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "openssl \(words)")
    }
}

@Suite("Files of TLS that cannot be used are refused in words")
struct FileTests {
    private let made: Certificates

    init() throws { made = try Certificates() }

    private func sentence(_ files: TLSFiles, after seconds: Int64 = 0) -> String {
        do throws(TLSFileError) {
            _ = try TLSCredentials(files, now: made.now + seconds)
            return "no refusal"
        } catch {
            return error.description
        }
    }

    @Test("a good pair is taken, and its end is known")
    func good() throws {
        let credentials = try TLSCredentials(made.files("one.pem", "one.key"), now: made.now)
        let end = try #require(credentials.end)
        #expect(abs(end - made.now - 30 * 86_400) < 3_600)
    }

    @Test("an expired certificate, and one of the future")
    func times() {
        let files = made.files("one.pem", "one.key")
        #expect(sentence(files, after: 31 * 86_400).contains("(number "))
        #expect(sentence(files, after: 31 * 86_400).contains("has expired on 20"))
        #expect(sentence(files, after: -86_400).contains("is not valid before 20"))
    }

    @Test("a key that belongs to another certificate")
    func otherKey() { #expect(sentence(made.files("one.pem", "two.key")).contains("does not belong to the certificate")) }

    @Test("files that are not there, or have something else in them")
    func others() {
        #expect(sentence(made.files("none.pem", "one.key")).contains("none.pem cannot be read"))
        #expect(sentence(made.files("text", "one.key")).contains("has no certificate in PEM form"))
        #expect(sentence(made.files("one.pem", "text")).contains("has no private key in PEM form"))
        #expect(sentence(made.files("one.pem", "encrypted.key")).contains("is encrypted"))
        #expect(sentence(made.files("one.pem", "one.key", clientAuthorities: "text")).contains("has no certificate"))
    }

    @Test("bad files that replace good ones change nothing")
    func replaced() throws {
        let credentials = try TLSCredentials(made.files("one.pem", "one.key"), now: made.now)
        let end = credentials.end
        try FileManager.default.removeItem(atPath: made.path("one.key"))
        #expect(throws: TLSFileError.self) { try credentials.reread(now: made.now) }
        #expect(credentials.end == end)
    }

    @Test("names in bytes that are no certificate, or a damaged one, are none")
    func damaged() throws {
        let whole = try PEMFile.certificates(made.path("one.pem"))[0].toDERBytes()
        #expect(CertificateNames(whole)?.isSelfSigned == true)
        for length in 0..<whole.count { _ = CertificateNames(Array(whole.prefix(length))) }
        var random = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            var bytes = whole
            for _ in 0..<3 { bytes[Int.random(in: 0..<min(120, whole.count), using: &random)] = .random(in: 0...255) }
            _ = CertificateNames(bytes)
        }
    }
}
