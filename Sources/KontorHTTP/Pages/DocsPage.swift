// The page that shows the API to people: one self-contained HTML page, made of the table of routes. Its style and its
// few lines of script are in DocsPageAssets.

import KontorCore

/// The page of `GET /docs`.
enum DocsPage {
    static let contentType = "text/html; charset=utf-8"

    /// The answer of the route. Made once, and sent as it is.
    static let response = Response(status: 200, contentType: contentType, body: Array(html.utf8))

    static var html: String {
        """
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; \
        script-src 'unsafe-inline'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'">
        <title>Kontor API</title>
        <link rel="icon" href="data:,">
        <style>\(style)</style>
        </head>
        <body>
        <a class="skip" href="#routes">To the routes</a>
        <header><h1>Kontor</h1><p>\(text("summary")) <a href="/openapi.json">OpenAPI document</a></p></header>
        <div class="columns">
        <nav aria-label="Routes">\(RouteTag.allCases.map(navigation).joined())\
        <section><h2><a href="#rules">For every request</a></h2></section></nav>
        <main id="routes">
        \(RouteTag.allCases.map(section).joined())
        \(rules)
        </main>
        </div>
        <script>\(script)</script>
        </body>
        </html>

        """
    }

    private static func text(_ member: String) -> String {
        guard case .string(let text) = OpenAPIDocument.info[member] else { return "" }
        return escaped(text)
    }

    static func escaped(_ text: String) -> String {
        var result = ""
        for character in text {
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            default: result.append(character)
            }
        }
        return result
    }
}

// MARK: Routes

extension DocsPage {
    private static func operations(of tag: RouteTag) -> [(route: Route, method: String)] {
        RouteTable.all.routes.filter { $0.tag == tag }.flatMap { route in route.methods.names.map { (route, $0) } }
    }

    private static func navigation(_ tag: RouteTag) -> String {
        let links = operations(of: tag).map { route, method in
            """
            <li><a href="#\(route.operationID(method))">\(badge(method)) \
            <span>\(breakable(route.template))</span></a></li>
            """
        }
        return "<section><h2><a href=\"#\(tag.rawValue)\">\(tag.title)</a></h2><ul>\(links.joined())</ul></section>"
    }

    private static func section(_ tag: RouteTag) -> String {
        """
        <section id="\(tag.rawValue)"><h2>\(tag.title)</h2><p>\(escaped(tag.summary))</p>
        \(operations(of: tag).map(card).joined())
        </section>
        """
    }

    private static func card(_ route: Route, _ method: String) -> String {
        let notes = route.notes.isEmpty ? "" : "<p>\(escaped(route.notes))</p>"
        return """
            <details class="route" id="\(route.operationID(method))">
            <summary>\(badge(method)) <code>\(breakable(route.template))</code> <span>\(escaped(route.summary))</span></summary>
            <div class="body">\(notes)
            \(parameters(route))
            \(answers(route))
            \(curl(route, method))
            \(form(route, method, route.operationID(method)))
            </div></details>

            """
    }

    private static func badge(_ method: String) -> String {
        "<b class=\"method \(method.lowercased())\">\(method)</b>"
    }

    /// A path as HTML that a browser may break behind its slashes.
    private static func breakable(_ path: String) -> String {
        path.split(separator: "/").map { "/\(escaped(String($0)))" }.joined(separator: "<wbr>")
    }

    private static func parameters(_ route: Route) -> String {
        guard !route.parameters.isEmpty else { return "" }
        let rows = route.parameters.map { parameter in
            """
            <tr><th scope="row"><code>\(parameter.rawValue)</code></th><td>\(escaped(parameter.summary))</td>\
            <td>\(escaped(bounds(of: parameter)))</td></tr>
            """
        }
        return table("Parameters", ["Name", "Meaning", "Accepted"], rows)
    }

    private static func bounds(of parameter: PathParameter) -> String {
        let schema = parameter.schema
        if let minimum = schema["minimum"], let maximum = schema["maximum"] {
            return "\(minimum.shortText) to \(maximum.shortText)"
        }
        switch parameter {
        case .order, .item, .user: return "1 to \(Limits.identifierBytes) of A-Z a-z 0-9 _ . ~ -"
        case .amount: return "0.01 to \(grouped(Limits.moneyHundredths / 100))"
        case .price, .credit: return "0 to \(grouped(Limits.moneyHundredths / 100))"
        case .units, .items, .users, .stock, .count: return "1 to \(grouped(Limits.unitsPerRequest))"
        }
    }

    private static func answers(_ route: Route) -> String {
        let example = route.answer.example.map { "<pre>\(escaped(String(decoding: $0.bytes, as: UTF8.self)))</pre>" } ?? ""
        var rows = [row(route.answer.status, "\(escaped(route.answer.summary))\(example)")]
        let own = route.problems + Route.commonProblems(of: route.effect).filter { isWorthAWord($0) }
        for (status, kinds) in OpenAPIDocument.groups(own) {
            rows.append(row(status, kinds.map { "\(escaped($0.title)) <code>\($0.rawValue)</code>" }.joined(separator: "<br>")))
        }
        return table("Answers", ["Status", "Meaning"], rows)
    }

    /// Whether a common problem is shown at its routes. The others are shown once, at the end of the page.
    private static func isWorthAWord(_ kind: Problem.Kind) -> Bool {
        switch kind {
        case .unavailable, .noRoom, .outcomeUnknown, .readUnavailable: return true
        default: return false
        }
    }

    private static func row(_ status: Int, _ meaning: String) -> String {
        "<tr><th scope=\"row\"><span class=\"status s\(status / 100)\">\(status)</span></th><td>\(meaning)</td></tr>"
    }

    private static func table(_ caption: String, _ heads: [String], _ rows: [String]) -> String {
        let head = heads.map { "<th scope=\"col\">\($0)</th>" }.joined()
        return """
            <div class="scroll"><table><caption>\(caption)</caption><thead><tr>\(head)</tr></thead>\
            <tbody>\(rows.joined())</tbody></table></div>
            """
    }

    private static func curl(_ route: Route, _ method: String) -> String {
        let verb = method == "GET" ? "" : "-X \(method) "
        let body = route.exampleBody.map { "-H 'Content-Type: application/json' -d '\(escaped($0))' " } ?? ""
        return """
            <div class="curl"><pre><code>curl \(verb)\(body)http://127.0.0.1:8000\(escaped(route.examplePath))</code></pre>\
            <button type="button" class="copy" hidden>Copy</button></div>
            """
    }

    private static func form(_ route: Route, _ method: String, _ name: String) -> String {
        var fields = route.parameters.map { field($0.rawValue, $0.exampleText, in: name, placeholder: "") }
        if method != "GET" { fields.append(field("Idempotency-Key", "", in: name, placeholder: "optional")) }
        if let body = route.exampleBody {
            fields.append(
                """
                <div><label for="\(name)-JSON">JSON</label>\
                <textarea id="\(name)-JSON" name="JSON" spellcheck="false">\(escaped(body))</textarea></div>
                """)
        }
        return """
            <form hidden data-method="\(method)" data-path="\(route.template)"><h3>Try it</h3>
            <div class="fields">\(fields.joined())</div><button type="submit">Send \(method)</button>
            <output aria-live="polite"></output></form>
            """
    }

    private static func field(_ label: String, _ value: String, in form: String, placeholder: String) -> String {
        """
        <div><label for="\(form)-\(label)">\(label)</label><input id="\(form)-\(label)" name="\(label)" value="\(value)" \
        placeholder="\(placeholder)" autocomplete="off" spellcheck="false"></div>
        """
    }
}

// MARK: Rules for every request

extension DocsPage {
    private static var rules: String {
        let rows = Problem.Kind.allCases.map { kind in
            let again = kind.retryAfterSeconds.map { "<code>Retry-After: \($0)</code>" } ?? ""
            return row(kind.status, "\(escaped(kind.title)) <a href=\"\(kind.type)\"><code>\(kind.type)</code></a> \(again)")
        }
        return """
            <section id="rules"><h2>For every request</h2>
            <p>\(text("description").replacingBackticks)</p>
            <dl><dt><code>Idempotency-Key</code> (POST, PUT and DELETE)</dt><dd>\(escaped(OpenAPIDocument.keySummary))</dd>
            <dt><code>Request-Timeout-Ms</code></dt><dd>\(escaped(OpenAPIDocument.timeoutSummary)) \
            Without it: \(Limits.deadlineMilliseconds).</dd></dl>
            <details class="route" id="problems"><summary><span>All problems and their types</span></summary>
            <div class="body">\(table("Problems", ["Status", "Title and type"], rows))</div></details>
            </section>
            """
    }

    /// A number in groups of three digits, between narrow spaces that do not break: `1 000 000`.
    fileprivate static func grouped(_ number: Int64) -> String {
        var digits = String(number)
        var groups: [String] = []
        while digits.count > 3 {
            groups.insert(String(digits.suffix(3)), at: 0)
            digits = String(digits.dropLast(3))
        }
        return ([digits] + groups).joined(separator: "\u{202F}")
    }
}

extension Route {
    /// The example of its body, as text.
    fileprivate var exampleBody: String? { body?.schema.map { String(decoding: $0.example.bytes, as: UTF8.self) } }
}

extension JSONValue {
    fileprivate var shortText: String {
        switch self {
        case .integer(let number): return DocsPage.grouped(number)
        case .string(let text), .decimal(let text): return text
        case .bool, .array, .object, .null: return ""
        }
    }
}

extension String {
    /// The text as HTML, what is between backticks as code.
    fileprivate var replacingBackticks: String {
        split(separator: "`", omittingEmptySubsequences: false).enumerated().map { index, part in
            index % 2 == 1 ? "<code>\(part)</code>" : String(part)
        }.joined()
    }
}
