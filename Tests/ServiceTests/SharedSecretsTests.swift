import Testing

@testable import KontorService

@Suite struct SharedSecretsTests {
    private static let old = "the secret of before"
    private static let new = "the secret of from now on"

    private func isBorne(_ secret: String, _ secrets: SharedSecrets) -> Bool { secrets.isBorne(by: "Bearer \(secret)".utf8) }

    @Test func `the first line is presented, both are accepted, and nothing that is beside them`() throws {
        let secrets = try SharedSecrets("  \(Self.new)\t\r\n\n \(Self.old)\n\n")
        #expect(secrets.presented == Array(Self.new.utf8))
        #expect(isBorne(Self.new, secrets) && isBorne(Self.old, secrets))
        for wrong in [
            "", "\(Self.new)\n\(Self.old)", String(Self.old.dropLast()), "\(Self.old)x", "\(Self.new) ",
            String(Self.new.dropFirst()), Self.old.uppercased(),
        ] {
            #expect(!isBorne(wrong, secrets), "\(wrong.debugDescription)")
        }
        #expect(!secrets.isBorne(by: "Basic \(Self.new)".utf8))
    }

    @Test func `other secrets take the place of those that were there`() throws {
        let secrets = try SharedSecrets(Self.old)
        try secrets.replace(by: "\(Self.old)\n\(Self.new)")
        #expect(secrets.presented == Array(Self.old.utf8))
        #expect(isBorne(Self.new, secrets) && isBorne(Self.old, secrets))
        try secrets.replace(by: Self.new)
        #expect(secrets.presented == Array(Self.new.utf8))
        #expect(isBorne(Self.new, secrets) && !isBorne(Self.old, secrets))
    }

    @Test(arguments: [
        ("", "there is no secret"), (" \n\r\n\t", "there is no secret"),
        ("fifteen letters", "secret 1 has fewer than 16 characters"),
        ("\(new)\n\(old.prefix(15))\n", "secret 2 has fewer than 16 characters"),
        ("\(new)\n\(old)\n\(old)\n", "there are 3 lines, and at most 2 may have a secret"),
    ])
    func `a text with a mistake is refused without a word of it, and changes nothing`(text: String, reason: String) throws {
        let secrets = try SharedSecrets(Self.old)
        #expect(throws: SharedSecrets.Mistake(description: reason)) { try SharedSecrets(text) }
        #expect(throws: SharedSecrets.Mistake(description: reason)) { try secrets.replace(by: text) }
        #expect(secrets.presented == Array(Self.old.utf8))
        #expect(!isBorne(Self.new, secrets))
    }

    @Test func `secrets are not printed`() throws {
        let secrets = try SharedSecrets(Self.old)
        var dumped = ""
        dump(secrets, to: &dumped)
        for text in ["\(secrets)", String(reflecting: secrets), dumped] {
            #expect(!text.contains(Self.old) && !text.contains("116"), "\(text)")
        }
    }
}
