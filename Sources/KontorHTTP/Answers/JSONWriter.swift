// Writes JSON answers, without Foundation.

import KontorCore

/// A writer that appends JSON to bytes. The caller writes the punctuation.
struct JSONWriter {
    private(set) var bytes: [UInt8] = []
    /// Whether money is written as text with two digits, and not as a number.
    private let quotesMoney: Bool

    init(capacity: Int = 96, quotesMoney: Bool = false) {
        self.quotesMoney = quotesMoney
        bytes.reserveCapacity(capacity)
    }

    /// Appends punctuation and names as they are.
    mutating func raw(_ text: StaticString) {
        text.withUTF8Buffer { bytes.append(contentsOf: $0) }
    }

    mutating func number(_ value: Int64) { bytes.append(contentsOf: String(value).utf8) }

    /// Appends a number that is text already.
    mutating func number(exactly text: String) { bytes.append(contentsOf: text.utf8) }

    /// Appends JSON.
    mutating func raw(bytes json: [UInt8]) { bytes += json }

    /// Appends money as a number: `5`, `7.2`, `7.23`. A writer that quotes money writes text.
    mutating func money(_ amount: Amount) {
        if quotesMoney { moneyText(amount) } else { bytes.append(contentsOf: amount.moneyText.utf8) }
    }

    /// Appends money as text: `"5.00"`, `"7.20"`, `"7.23"`.
    mutating func moneyText(_ amount: Amount) { string(amount.twoDigits) }

    /// Appends a time, milliseconds since 1970; nil: null.
    mutating func time(_ time: Int64?) {
        guard let time else { return raw("null") }
        raw("\"")
        Timestamp(time).write(to: &bytes)
        raw("\"")
    }

    mutating func array<Element>(_ elements: [Element], _ write: (inout JSONWriter, Element) -> Void) {
        raw("[")
        for (index, element) in elements.enumerated() {
            if index > 0 { raw(",") }
            write(&self, element)
        }
        raw("]")
    }

    /// Appends an identifier, which needs quotes and no escapes.
    mutating func id(_ id: Identifier) {
        bytes.append(UInt8(ascii: "\""))
        bytes.append(contentsOf: id.text.utf8)
        bytes.append(UInt8(ascii: "\""))
    }

    /// Appends any text, escaped as RFC 8259 asks.
    mutating func string(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        if text.utf8.contains(where: Self.needsEscape) { escape(text) } else { bytes.append(contentsOf: text.utf8) }
        bytes.append(UInt8(ascii: "\""))
    }

    private static func needsEscape(_ byte: UInt8) -> Bool {
        byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
    }

    private mutating func escape(_ text: String) {
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                bytes.append(UInt8(ascii: "\\"))
                bytes.append(byte)
            case 0..<0x20:
                let digits = String(byte, radix: 16)
                bytes.append(contentsOf: (digits.utf8.count == 1 ? "\\u000" : "\\u00").utf8)
                bytes.append(contentsOf: digits.utf8)
            default: bytes.append(byte)
            }
        }
    }
}
