// The Prometheus text exposition format, version 0.0.4:
// https://prometheus.io/docs/instrumenting/exposition_formats/

/// Writes a page of metrics, family by family.
public struct Exposition {
    /// The content type of such a page.
    public static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    /// The types of metrics in this format that Kontor uses.
    public enum Kind: String, Sendable {
        case counter, gauge, histogram
    }

    /// Names and values of labels, in the order in which they are shown.
    public typealias Labels = [(String, String)]

    /// The page as far as it is written.
    public private(set) var text = ""

    public init() {}

    /// Begins a family. Its samples must follow before the next family begins.
    public mutating func family(_ name: String, _ kind: Kind, help: String) {
        text += "# HELP \(name) "
        Self.escape(help, quotes: false, into: &text)
        text += "\n# TYPE \(name) \(kind.rawValue)\n"
    }

    /// Writes one sample of the family that was begun last.
    public mutating func sample(_ name: String, _ labels: Labels, _ value: Double) {
        text += name
        if !labels.isEmpty {
            text += "{"
            for (index, label) in labels.enumerated() {
                if index > 0 { text += "," }
                text += Self.labelName(label.0)
                text += "=\""
                Self.escape(label.1, quotes: true, into: &text)
                text += "\""
            }
            text += "}"
        }
        text += " \(Self.number(value))\n"
    }

    /// Writes a family that has one sample.
    public mutating func single(_ name: String, _ kind: Kind, help: String, labels: Labels = [], value: Double) {
        family(name, kind, help: help)
        sample(name, labels, value)
    }

    mutating func histogram(_ name: String, _ labels: Labels, _ cell: HistogramCell) {
        let (buckets, total, sum) = cell.cumulative()
        for (bound, count) in buckets {
            sample(name + "_bucket", labels + [("le", Self.number(bound))], Double(count))
        }
        sample(name + "_bucket", labels + [("le", "+Inf")], Double(total))
        sample(name + "_sum", labels, sum)
        sample(name + "_count", labels, Double(total))
    }

    /// A number as the format wants it: whole ones without a fraction, others in the fewest digits that read back as
    /// the same number.
    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
        if value == value.rounded(), abs(value) < 1e15 { return String(Int64(value)) }
        return "\(value)"
    }

    private static func escape(_ value: String, quotes: Bool, into text: inout String) {
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\"" where quotes: text += "\\\""
            default: text.unicodeScalars.append(scalar)
            }
        }
    }

    /// A metric's name as the format allows it (`[a-zA-Z_:][a-zA-Z0-9_:]*`): other bytes become underscores.
    static func metricName(_ name: String) -> String { sanitized(name, allowingColon: true) }

    /// A label's name as the format allows it: like a metric's, but without the colon.
    static func labelName(_ name: String) -> String { sanitized(name, allowingColon: false) }

    private static func sanitized(_ name: String, allowingColon: Bool) -> String {
        var result = ""
        for byte in name.utf8 {
            let isDigit = byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
            let isLetter =
                (byte | 0x20 >= UInt8(ascii: "a") && byte | 0x20 <= UInt8(ascii: "z")) || byte == UInt8(ascii: "_")
            if isDigit && result.isEmpty { result += "_" }
            let isKept = isLetter || isDigit || (allowingColon && byte == UInt8(ascii: ":"))
            result.unicodeScalars.append(isKept ? Unicode.Scalar(byte) : "_")
        }
        return result.isEmpty ? "_" : result
    }
}
