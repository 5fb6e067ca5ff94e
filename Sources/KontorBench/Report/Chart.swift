// Line charts as SVG that stands within a page: no scripts, no fonts or files from elsewhere. Colours are the page's.

import Glibc

/// A line chart. Its lines have the CSS classes `series-0`, `series-1` and so on; the page gives these their colours.
struct Chart {
    struct Line {
        let name: String
        /// The number of its CSS class.
        let series: Int
        /// Sorted by x. Where y is nil the line has a gap.
        let points: [(x: Double, y: Double?)]
    }

    enum Scale {
        case linear
        /// For values that differ by orders of magnitude. Values of 0 are not drawn.
        case logarithmic
    }

    /// What a screen reader says (`aria-label`).
    var description: String
    var xTitle: String
    var xTicks: [(place: Double, text: String)]
    var yTitle: String
    var yScale: Scale
    var lines: [Line]

    static let width = 760.0
    static let height = 300.0
    private static let left = 68.0
    private static let right = 744.0
    private static let top = 40.0
    private static let bottom = 254.0

    var svg: String {
        let axis = Axis(lines.flatMap { $0.points.compactMap(\.y) }, yScale)
        let places = lines.flatMap { $0.points.map(\.x) } + xTicks.map(\.place)
        let first = places.min() ?? 0
        let span = max((places.max() ?? 1) - first, 1e-9)
        let x: (Double) -> Double = { Self.left + ($0 - first) / span * (Self.right - Self.left) }
        let y: (Double) -> Double = { Self.bottom - axis.place($0) * (Self.bottom - Self.top) }
        var text = #"<svg viewBox="0 0 \#(Int(Self.width)) \#(Int(Self.height))" role="img" "#
        text += #"aria-label="\#(escaped(description))">"#
        for tick in axis.ticks {
            let height = Self.number(y(tick))
            text += #"<line class="grid" x1="\#(Self.left)" x2="\#(Self.right)" y1="\#(height)" y2="\#(height)"/>"#
            text += #"<text class="tick" x="\#(Self.left - 8)" y="\#(height)" dy="4" text-anchor="end">"#
            text += Figures.tick(tick) + "</text>"
        }
        for tick in xTicks {
            let place = Self.number(x(tick.place))
            text += #"<line class="grid" x1="\#(place)" x2="\#(place)" y1="\#(Self.bottom)" y2="\#(Self.bottom + 5)"/>"#
            // Centred text at the right edge would be cut off.
            let anchor = x(tick.place) > Self.right - 20 ? "end" : "middle"
            text += #"<text class="tick" x="\#(place)" y="\#(Self.bottom + 19)" text-anchor="\#(anchor)">\#(tick.text)</text>"#
        }
        text += #"<line class="axis" x1="\#(Self.left)" x2="\#(Self.right)" y1="\#(Self.bottom)" y2="\#(Self.bottom)"/>"#
        text += #"<text class="axis-title" x="\#(Self.right)" y="\#(Self.height - 8)" text-anchor="end">"#
        text += escaped(xTitle) + "</text>"
        text += #"<text class="axis-title" x="4" y="16">\#(escaped(yTitle))</text>"#
        text += legend
        for line in lines { text += Self.path(line, axis, x, y) }
        return text + "</svg>"
    }

    /// The names of the lines, at the top right; empty if there is only one.
    private var legend: String {
        guard lines.count > 1 else { return "" }
        var text = ""
        var end = Self.right
        for line in lines.reversed() {
            // Letters of 12 px are at most 7 px wide.
            text += #"<text class="tick" x="\#(end)" y="16" text-anchor="end">\#(escaped(line.name))</text>"#
            end -= Double(line.name.count) * 7
            text += #"<line class="line series-\#(line.series)" x1="\#(end - 24)" x2="\#(end - 6)" y1="12" y2="12"/>"#
            end -= 44
        }
        return text
    }

    private static func path(
        _ line: Line, _ axis: Axis, _ x: (Double) -> Double, _ y: (Double) -> Double
    ) -> String {
        var text = ""
        var piece: [String] = []
        func endPiece() {
            if piece.count == 1 {
                let place = piece[0].split(separator: ",")
                text += #"<circle class="dot series-\#(line.series)" cx="\#(place[0])" cy="\#(place[1])" r="2.5"/>"#
            } else if !piece.isEmpty {
                text += #"<polyline class="line series-\#(line.series)" points="\#(piece.joined(separator: " "))"/>"#
            }
            piece = []
        }
        for point in line.points {
            if let value = point.y, axis.shows(value) {
                piece.append("\(number(x(point.x))),\(number(y(value)))")
            } else {
                endPiece()
            }
        }
        endPiece()
        return text
    }

    private static func number(_ value: Double) -> String { Figures.decimal(value, digits: 1) }
}

/// The vertical axis: it places values between 0 (bottom) and 1 (top), and chooses the values that are written beside
/// it.
struct Axis {
    let ticks: [Double]
    private let scale: Chart.Scale

    /// Chooses the ticks so that all values lie between the first and the last of them.
    init(_ values: [Double], _ scale: Chart.Scale) {
        self.scale = scale
        switch scale {
        case .linear: ticks = Self.linear(to: values.max() ?? 1)
        case .logarithmic:
            let shown = values.filter { $0 > 0 }
            ticks = Self.logarithmic(from: shown.min() ?? 1, to: shown.max() ?? 10)
        }
    }

    func shows(_ value: Double) -> Bool { scale == .linear || value > 0 }

    func place(_ value: Double) -> Double {
        guard let low = ticks.first, let high = ticks.last, high > low else { return 0 }
        switch scale {
        case .linear: return (value - low) / (high - low)
        case .logarithmic: return (log10(value) - log10(low)) / (log10(high) - log10(low))
        }
    }

    /// Ticks from 0 in up to five steps, each of 1, 2 or 5 times a power of ten.
    private static func linear(to most: Double) -> [Double] {
        guard most > 0 else { return [0, 1] }
        let rough = most / 5
        let power = pow(10, log10(rough).rounded(.down))
        let step = [1, 2, 5, 10].map { $0 * power }.first { $0 >= rough * (1 - 1e-9) } ?? rough
        let count = Int((most / step * (1 - 1e-9)).rounded(.up))
        return (0...max(1, count)).map { Double($0) * step }
    }

    /// Ticks at 1, 2 and 5 times powers of ten around the values; at the powers alone if these would be more than nine.
    private static func logarithmic(from least: Double, to most: Double) -> [Double] {
        let powers = Int(log10(least).rounded(.down))...Int(log10(most).rounded(.up))
        let all = powers.flatMap { power in [1, 2, 5].map { $0 * pow(10, Double(power)) } }
        let low = all.last { $0 <= least * (1 + 1e-9) } ?? all[0]
        let high = all.first { $0 >= most * (1 - 1e-9) && $0 > low } ?? all[all.count - 1]
        let fine = all.filter { $0 >= low && $0 <= high }
        if fine.count <= 9 { return fine }
        return powers.map { pow(10, Double($0)) }
    }
}

/// Text as it stands within a page: what means something in HTML is escaped.
func escaped(_ text: String) -> String {
    var result = ""
    for character in text {
        switch character {
        case "<": result += "&lt;"
        case ">": result += "&gt;"
        case "&": result += "&amp;"
        case "\"": result += "&quot;"
        default: result.append(character)
        }
    }
    return result
}
