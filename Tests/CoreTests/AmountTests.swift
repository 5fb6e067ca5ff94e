import Testing

@testable import KontorCore

@Suite("Amounts")
struct AmountTests {
    @Test(
        "money is read exactly and rounded half to even",
        arguments: [
            ("0", 0), ("5", 500), ("5.0", 500), ("7.2", 720), ("7.23", 723), ("7.2334981", 723), ("7.235", 724),
            ("7.225", 722), ("7.2250", 722), ("7.22500001", 723), ("0.005", 0), ("0.015", 2), ("9.999", 1000),
            ("100000000000", 10_000_000_000_000),
        ])
    func moneyIsRead(text: String, hundredths: Int64) {
        #expect(Amount.money(text)?.raw == hundredths)
    }

    @Test(
        "what is not money is refused",
        arguments: [
            "", ".", "5.", ".5", "-1", "+1", "1e3", "1,5", " 1", "1 ", "NaN", "100000000000.01", "99999999999999999999",
            "1.2.3",
        ])
    func notMoney(text: String) { #expect(Amount.money(text) == nil) }

    @Test("units are 1 ... 10^9")
    func units() {
        #expect(Amount.units("1")?.raw == 1)
        #expect(Amount.units("1000000000")?.raw == 1_000_000_000)
        for text in ["0", "-1", "1000000001", "1.0", "", "x", "12345678901234567890"] {
            #expect(Amount.units(text) == nil, "\(text)")
        }
    }

    @Test("money is shown as JSON numbers without trailing zeros")
    func shown() {
        #expect(Amount(500).moneyText == "5")
        #expect(Amount(720).moneyText == "7.2")
        #expect(Amount(723).moneyText == "7.23")
        #expect(Amount(703).moneyText == "7.03")
        #expect(Amount(0).moneyText == "0")
    }

    @Test("price times units past the bound is refused, not wrapped")
    func overflow() {
        #expect(Amount(Limits.moneyHundredths).times(Amount(Limits.unitsPerRequest)) == nil)
        #expect(Amount(Limits.moneyHundredths).times(Amount(1)) == Amount(Limits.moneyHundredths))
        #expect(Amount(Limits.balance).sum(Amount(1), atMost: Limits.balance) == nil)
        #expect(Amount(Int64.max).sum(Amount(1), atMost: Int64.max) == nil)
    }
}

@Suite("Identifiers")
struct IdentifierTests {
    @Test("1 to 64 characters of the alphabet are valid, all else is not")
    func alphabet() {
        for text in ["0", "a-b_c.d~E", String(repeating: "x", count: 64)] { #expect(Identifier(text)?.text == text) }
        for text in ["", "a b", "a/b", "ä", "a\u{0}", String(repeating: "x", count: 65)] {
            #expect(Identifier(text) == nil)
        }
    }

    @Test("random bits make a version 4 UUID")
    func uuid() {
        let id = Identifier(randomBits: 0x0123_4567_89AB_CDEF, 0xFFFF_FFFF_FFFF_FFFF)
        #expect(id.text == "01234567-89ab-4def-bfff-ffffffffffff")
        #expect(Identifier(id.text) == id)
    }
}
