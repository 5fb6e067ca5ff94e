// The pages that the types of problems lead to: what each means, whether the request had an effect, and what to do.
// They are made of Problem.Kind, so that none is missing. The words are in ProblemMeaning.

/// The page of `GET /problems/...`, one for each type, and the way from `/` to the documentation.
enum ProblemPage {
    /// What a target that is no route leads to.
    ///
    /// - Returns: nil if it leads nowhere.
    /// - Throws: a problem if it has a percent sign that escapes nothing.
    static func response(to uri: String) throws(Problem) -> Response? {
        if isRoot(uri) { return .redirect(to: "/docs") }
        guard let path = try PathSegments(of: uri), path[0] == "problems" else { return nil }
        switch path.length {
        case 1: return .redirect(to: "/docs#problems")
        case 2: return Problem.Kind(rawValue: path[1]).flatMap { responses[$0] }
        default: return nil
        }
    }

    /// Made once, and sent as they are.
    private static let responses = Dictionary(
        uniqueKeysWithValues: Problem.Kind.allCases.map {
            ($0, Response(status: 200, contentType: DocsPage.contentType, body: Array(html($0).utf8)))
        })

    /// Whether a target is `/`, also as a whole URL or with a query.
    private static func isRoot(_ uri: String) -> Bool {
        let path = Router.path(of: uri)
        if path == "/" { return true }
        guard let colon = path.firstIndex(of: ":"), path[colon...].hasPrefix("://") else { return false }
        // A URL without a host is none.
        let rest = path[path.index(colon, offsetBy: 3)...]
        return !rest.isEmpty && rest.first != "/" && !rest.dropLast().contains("/")
    }

    static func html(_ kind: Problem.Kind) -> String {
        """
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; \
        img-src data:; base-uri 'none'; form-action 'none'">
        <title>\(DocsPage.escaped(kind.title)) - Kontor API</title>
        <link rel="icon" href="data:,">
        <style>\(DocsPage.style)</style>
        </head>
        <body>
        <header><h1>\(DocsPage.escaped(kind.title))</h1><p><code>\(kind.type)</code>, status \(kind.status). \
        <a href="/docs">All routes</a></p></header>
        <div class="columns"><main>
        <section><h2>What it means</h2><p>\(DocsPage.escaped(kind.meaning))</p></section>
        <section><h2>Whether the request had an effect</h2><p>\(DocsPage.escaped(kind.effect))</p></section>
        <section><h2>What to do</h2><p>\(DocsPage.escaped(kind.advice)) \(wait(kind))</p></section>
        <section><h2>Who can meet it</h2>\(routes(kind))</section>
        </main></div>
        </body>
        </html>

        """
    }

    private static func wait(_ kind: Problem.Kind) -> String {
        guard let seconds = kind.retryAfterSeconds else { return "Waiting alone does not help." }
        return "The answer has <code>Retry-After: \(seconds)</code>, or more: come back after so many seconds."
    }

    private static func routes(_ kind: Problem.Kind) -> String {
        let routes = RouteTable.all.routes.filter { $0.allProblems.contains(kind) }
        if routes.isEmpty || routes.count == RouteTable.all.routes.count { return "<p>Any request.</p>" }
        let links = routes.flatMap { route in
            route.methods.names.map { method in
                "<li><a href=\"/docs#\(route.operationID(method))\">\(method) \(DocsPage.escaped(route.template))</a></li>"
            }
        }
        return "<ul>\(links.joined())</ul>"
    }
}
