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

    @Test("a hash makes a version 8 UUID")
    func hashed() {
        let id = Identifier(hash: 0x0123_4567_89AB_CDEF, 0xFFFF_FFFF_FFFF_FFFF)
        #expect(id.text == "01234567-89ab-8def-bfff-ffffffffffff")
        #expect(Identifier(id.text) == id)
    }

    @Test("what is created later has the larger id: version 7 UUIDs begin with the time")
    func timeOrdered() {
        // RFC 9562, A.6: 2022-02-22T19:22:22.000Z.
        let id = Identifier(createdAt: 0x017F_22E2_79B0, random: 0xCC3, 0x18C4_DC0C_0C07_398F)
        #expect(id.text == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f")
        var last = Identifier(createdAt: 1_700_000_000_000, random: .max, .max)
        for millisecond in 1...1_000 {
            let next = Identifier(createdAt: 1_700_000_000_000 + Int64(millisecond), random: 0, 0)
            #expect(last < next)
            last = Identifier(createdAt: 1_700_000_000_000 + Int64(millisecond), random: .max, .max)
        }
    }
}
