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
        ) { readiness(of: $0) },

        Route("openAPI", ["openapi.json"], summary: "This description of the API", answer: .openAPI) { _ in
            OpenAPIDocument.response
        },

        Route("docs", ["docs"], summary: "The same as a page for people", answer: .page) { _ in DocsPage.response },
    ]

    /// Ready as long as anything can be served: what a shard keeps that is away is refused, and all the rest is not.
    private static func readiness(of service: HTTPService) -> Response {
        let troubles = service.troubles()
        guard service.isReady() else {
            if troubles.isEmpty { return Response(.notReady) }
            return Response(
                Problem(.notReady, "The service cannot take requests now: \(troubles.joined(separator: "; ")). Try again later."))
        }
        if troubles.isEmpty { return .json(#"{"status":"ready"}"#) }
        return .json(
            JSONValue.object([
                JSONValue.Member(name: "status", value: "ready"),
                JSONValue.Member(name: "troubles", value: .array(troubles.map { .string($0) })),
            ]).bytes)
    }
}
