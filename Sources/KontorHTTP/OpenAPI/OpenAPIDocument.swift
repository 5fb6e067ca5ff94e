// The OpenAPI 3.1 document, made of the table of routes.

import KontorCore

/// The document of `GET /openapi.json`.
enum OpenAPIDocument {
    /// The answer of the route. Made once, and sent as it is.
    static let response = Response.json(document.bytes)

    static let info: JSONValue = [
        "title": "Kontor", "version": "1",
        "summary": "Orders, payment and stock of a shop, with a checkout that happens exactly once.",
        "description": """
        What was answered with a 2xx is on disk. What was answered with a 4xx had no effect, now or later. A 504 says that \
        the outcome is not known: repeat the request to learn it. Errors are problem details (RFC 9457) with a stable \
        `type`. Bodies are JSON for the paths below /v1; for all others a body is read and ignored. A 500 would be a bug: please report it.
        """,
        "license": ["name": "Apache License 2.0", "identifier": "Apache-2.0"],
    ]

    static var document: JSONValue {
        [
            "openapi": "3.1.0", "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema", "info": info,
            "servers": [["url": "/"]],
            "tags": .array(
                RouteTag.allCases.map { ["name": .string($0.rawValue), "description": .string($0.summary)] }),
            "paths": paths,
            "components": [
                "schemas": OpenAPISchemas.all, "parameters": parameters, "headers": headers, "responses": commonResponses,
                "securitySchemes": ["token": ["type": "http", "scheme": "bearer", "description": .string(tokenSummary)]],
            ],
        ]
    }

    private static var paths: JSONValue {
        var paths: [JSONValue.Member] = []
        for route in RouteTable.all.routes {
            let operations = JSONValue.object(
                route.methods.names.map { method in
                    JSONValue.Member(name: method.lowercased(), value: operation(route, method))
                })
            if let index = paths.firstIndex(where: { $0.name == route.template }) {
                paths[index].value = paths[index].value.with(operations)
            } else {
                paths.append(.init(name: route.template, value: operations))
            }
        }
        return .object(paths)
    }

    private static func operation(_ route: Route, _ method: String) -> JSONValue {
        var operation: JSONValue = [
            "operationId": .string(route.operationID(method)), "tags": [.string(route.tag.rawValue)],
            "summary": .string(route.summary),
        ]
        if !route.notes.isEmpty { operation = operation.with(["description": .string(route.notes)]) }
        var parameters = route.parameters.map { reference("parameters", $0.rawValue) }
        parameters.append(reference("parameters", "Request-Timeout-Ms"))
        if method != "GET" { parameters.append(reference("parameters", "Idempotency-Key")) }
        parameters += route.query.map { parameter in
            [
                "name": .string(parameter.rawValue), "in": "query", "required": false,
                "description": .string(parameter.summary), "schema": parameter.schema,
            ]
        }
        if route.body?.takesTags == true { parameters.append(reference("parameters", "If-Match")) }
        if let body = route.body, let schema = body.schema {
            operation = operation.with([
                "requestBody": [
                    "required": .bool(!body.isOptional),
                    "content": [
                        "application/json": ["schema": OpenAPISchemas.reference(schema.name), "example": schema.example]
                    ],
                ]
            ])
        }
        return operation.with([
            "security": security(route), "parameters": .array(parameters), "responses": responses(route),
        ])
    }

    /// The scope that a caller's token must have. In an open shop he needs none.
    private static func security(_ route: Route) -> JSONValue {
        if route.scopes.isEmpty { return [] }
        return [[:], ["token": [.string("\(route.scopes)")]]]
    }

    private static let tokenSummary =
        "A closed shop asks for a token with the scope that the operation names. In an open one none is needed."

    private static func reference(_ section: String, _ name: String) -> JSONValue {
        ["$ref": "#/components/\(section)/\(name)"]
    }
}

// MARK: Parameters and headers

extension OpenAPIDocument {
    private static var parameters: JSONValue {
        .object(
            PathParameter.allCases.map { parameter in
                .init(
                    name: parameter.rawValue,
                    value: [
                        "name": .string(parameter.rawValue), "in": "path", "required": true,
                        "description": .string(parameter.summary), "schema": parameter.schema,
                        "example": parameter.example,
                    ])
            }
        ).with([
            "Request-Timeout-Ms": [
                "name": "Request-Timeout-Ms", "in": "header", "required": false,
                "description": .string(timeoutSummary),
                "schema": [
                    "type": "integer", "minimum": 1, "maximum": 999_999_999_999_999_999,
                    "default": .integer(Limits.deadlineMilliseconds),
                ],
            ],
            "Idempotency-Key": [
                "name": "Idempotency-Key", "in": "header", "required": false, "description": .string(keySummary),
                "schema": ["type": "string", "pattern": .string(keyPattern)], "example": "order-1-first-try",
            ],
            "If-Match": [
                "name": "If-Match", "in": "header", "required": false,
                "description": "The ETag that the order must still have; otherwise 412, and nothing is changed.",
                "schema": ["type": "string"], "example": "\"0123456789abcdef\"",
            ],
        ])
    }

    static let timeoutSummary =
        "How many milliseconds the request may take. More than \(Limits.longestDeadlineMilliseconds) count as that many."

    private static var keyPattern: String {
        let most = Limits.idempotencyKeyBytes
        return #"^([!#-~]{1,\#(most)}|"([!#-\[\]-~]|\\["\\]){1,\#(most)}")$"#
    }

    static let keySummary =
        "1 to \(Limits.idempotencyKeyBytes) visible ASCII characters, bare or as a quoted string. The same request under the same key "
        + "is done once, and answered again with Idempotent-Replayed: true. Another request under the key is refused."

    private static var headers: JSONValue {
        [
            "Retry-After": ["description": "Seconds until it makes sense to try again.", "schema": seconds],
            "Allow": ["description": "The methods of this path.", "required": true, "schema": ["type": "string"]],
            "Idempotent-Replayed": [
                "description": "The answer is that of an earlier request with the same Idempotency-Key.",
                "schema": ["type": "string", "const": "true"],
            ],
            "Location": ["description": "Where the resource is.", "schema": ["type": "string"]],
            "ETag": ["description": "Stays the same as long as nobody changes the order.", "schema": ["type": "string"]],
        ]
    }

    private static let seconds: JSONValue = ["type": "integer", "minimum": 1]
}

// MARK: Responses

extension OpenAPIDocument {
    private static func responses(_ route: Route) -> JSONValue {
        var responses: JSONValue = .object([.init(name: String(route.answer.status), value: success(route))])
        let common = groups(Route.commonProblems(of: route.effect))
        for (status, kinds) in groups(route.allProblems) {
            let isCommon = common.contains { $0.status == status && $0.kinds == kinds }
            let response = isCommon ? reference("responses", commonName(kinds)) : failure(kinds)
            responses = responses.with(.object([.init(name: String(status), value: response)]))
        }
        return responses
    }

    private static func success(_ route: Route) -> JSONValue {
        let answer = route.answer
        var content: JSONValue = ["schema": OpenAPISchemas.reference(answer.schemaName)]
        if let example = answer.example { content = content.with(["example": example]) }
        var response: JSONValue = [
            "description": .string(answer.summary),
            "content": .object([.init(name: answer.contentType, value: content)]),
        ]
        var headers: [JSONValue.Member] = []
        if route.effect == .write { headers.append(header("Idempotent-Replayed")) }
        if answer.location != nil { headers.append(header("Location")) }
        if ["OrderResource", "PlacedOrder"].contains(answer.schemaName) { headers.append(header("ETag")) }
        if !headers.isEmpty { response = response.with(["headers": .object(headers)]) }
        if let created = answer.createdID { response = response.with(["links": links(created)]) }
        return response
    }

    private static func header(_ name: String) -> JSONValue.Member {
        .init(name: name, value: reference("headers", name))
    }

    /// What can be asked about something once it is created.
    private static func links(_ created: (parameter: PathParameter, member: String)) -> JSONValue {
        .object(
            RouteTable.all.routes.filter { $0.parameters.contains(created.parameter) }.map { route in
                let argument = JSONValue.string("$response.body#/\(created.member)")
                return .init(
                    name: route.name,
                    value: [
                        "operationId": .string(route.name),
                        "parameters": .object([.init(name: "path.\(created.parameter.rawValue)", value: argument)]),
                    ])
            })
    }

    /// The responses that many routes share.
    private static var commonResponses: JSONValue {
        var members: [JSONValue.Member] = []
        for effect in [Route.Effect.none, .read, .write] {
            for (_, kinds) in groups(Route.commonProblems(of: effect)) {
                let name = commonName(kinds)
                if !members.contains(where: { $0.name == name }) { members.append(.init(name: name, value: failure(kinds))) }
            }
        }
        return .object(members)
    }

    private static func commonName(_ kinds: [Problem.Kind]) -> String { kinds.map(\.rawValue).joined(separator: ".") }

    private static func failure(_ kinds: [Problem.Kind]) -> JSONValue {
        let types = kinds.map { JSONValue.string($0.type) }
        var headers: [JSONValue.Member] = []
        if kinds.allSatisfy({ $0.retryAfterSeconds != nil }) {
            headers.append(
                .init(
                    name: "Retry-After",
                    value: ["required": true, "description": "Seconds until it makes sense to try again.", "schema": seconds]
                ))
        } else if kinds.contains(where: { $0.retryAfterSeconds != nil }) {
            headers.append(.init(name: "Retry-After", value: reference("headers", "Retry-After")))
        }
        if kinds.contains(.wrongMethod) { headers.append(.init(name: "Allow", value: reference("headers", "Allow"))) }
        let response: JSONValue = [
            "description": .string(kinds.map(\.title).joined(separator: "; ") + "."),
            "content": [
                // Beside a reference, and not in an allOf: generators of clients make one type of problem of it, and
                // validators see which types there are.
                "application/problem+json": [
                    "schema": OpenAPISchemas.reference("Problem").with(["properties": ["type": ["enum": .array(types)]]])
                ]
            ],
        ]
        return headers.isEmpty ? response : response.with(["headers": .object(headers)])
    }

    /// The problems by their status, in the order of statuses.
    static func groups(_ kinds: [Problem.Kind]) -> [(status: Int, kinds: [Problem.Kind])] {
        Set(kinds.map(\.status)).sorted().map { status in (status, kinds.filter { $0.status == status }) }
    }
}
