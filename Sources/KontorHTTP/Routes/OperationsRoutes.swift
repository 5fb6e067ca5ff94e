// The routes that every listener answers itself: health and documentation.

/// The table's routes about operations.
enum OperationsRoutes {
    static let all: [Route] = [
        Route("live", ["health", "live"], summary: "Tells that the process lives", answer: .live) { _ in
            .json(#"{"status":"live"}"#)
        },

        Route(
            "ready", ["health", "ready"], summary: "Tells whether requests can be served now", answer: .ready,
            problems: [.notReady]
        ) { $0.isReady() ? .json(#"{"status":"ready"}"#) : Response(.notReady) },

        Route("openAPI", ["openapi.json"], summary: "This description of the API", answer: .openAPI) { _ in
            OpenAPIDocument.response
        },

        Route("docs", ["docs"], summary: "The same as a page for people", answer: .page) { _ in DocsPage.response },
    ]
}
