// The component schemas of the OpenAPI document (JSON Schema 2020-12).

import KontorCore

/// The shapes of answers and arguments. Those of one answer alone are with it, in RouteAnswer.
enum OpenAPISchemas {
    static func reference(_ name: String) -> JSONValue { ["$ref": "#/components/schemas/\(name)"] }

    /// An object that has all of these properties, unless they are named as optional.
    static func object(_ properties: JSONValue, optional: Set<String> = []) -> JSONValue {
        guard case .object(let members) = properties else { return properties }
        let required = members.map(\.name).filter { !optional.contains($0) }
        return ["type": "object", "required": .array(required.map { .string($0) }), "properties": properties]
    }

    /// An amount of money in a path: text with a decimal number, so that it is exact. Leading zeros and 10^11 itself
    /// are accepted too; the pattern leaves them out because nobody needs them.
    static let moneyInPath: JSONValue = [
        "type": "string", "format": "decimal",
        "pattern": .string("^(\(positiveMoney)|0(\\.0{1,\(Limits.moneyFractionDigits)})?)$"),
    ]

    /// An amount of money in a path, at least a hundredth.
    static let positiveMoneyInPath: JSONValue = [
        "type": "string", "format": "decimal",
        "pattern": .string("^(\(positiveMoney))$"),
    ]

    private static let positiveMoney =
        "[1-9][0-9]{0,10}(\\.[0-9]{1,\(Limits.moneyFractionDigits)})?|0\\.0?[1-9][0-9]{0,\(Limits.moneyFractionDigits - 2)}"

    /// The units that an account has.
    static let balance: JSONValue = ["type": "integer", "minimum": 0, "maximum": .integer(Limits.balance)]

    /// All component schemas, by name.
    static var all: JSONValue {
        var schemas = values.with(resourceValues).with(["Problem": problem])
        var seen: Set<String> = []
        for body in RouteTable.all.routes.compactMap(\.body?.schema) where seen.insert(body.name).inserted {
            schemas = schemas.with(.object([.init(name: body.name, value: body.schema)]))
        }
        for answer in RouteAnswer.documentedFirst + RouteTable.all.routes.map(\.answer)
        where seen.insert(answer.schemaName).inserted {
            schemas = schemas.with(.object([.init(name: answer.schemaName, value: answer.schema)]))
        }
        return schemas
    }

    private static let values: JSONValue = [
        "Id": [
            "type": "string", "pattern": "^[A-Za-z0-9_.~-]{1,\(Limits.identifierBytes)}$",
            "description": "The name of an item, a user or an order: a UUID, or the number that batch_init gave.",
        ],
        "Units": ["type": "integer", "minimum": 1, "maximum": .integer(Limits.unitsPerRequest)],
        "Money": [
            "type": "number", "minimum": 0, "maximum": .integer(Limits.moneyHundredths / 100),
            "description": "An exact decimal with at most two fraction digits.",
        ],
        "Line": [
            "type": "array", "prefixItems": [reference("Id"), ["type": "integer", "minimum": 1]],
            "minItems": 2, "maxItems": 2, "description": "An item's id, and how many units of it.",
        ],
    ]

    /// The shape of problem details (RFC 9457).
    private static var problem: JSONValue {
        let types = Problem.Kind.allCases.map { JSONValue.string($0.type) }
        // Without them generators of clients call the types VALUE_0, VALUE_1 and so on.
        let names = Problem.Kind.allCases.map { kind in
            JSONValue.string(kind.rawValue.replacing("-", with: "_").uppercased())
        }
        return object(
            [
                "type": [
                    "type": "string", "enum": .array(types), "x-enum-varnames": .array(names),
                    "description": "Stable: what programs decide by. It leads to a page about it.",
                ],
                "title": ["type": "string", "description": "The same for every problem of the type."],
                "status": ["type": "integer", "minimum": 400, "maximum": 599],
                "detail": ["type": "string", "description": "What happened, to whom, and what to do: for people."],
                "order_id": reference("Id"), "item_id": reference("Id"), "user_id": reference("Id"),
                "pointer": ["type": "string", "description": "A JSON pointer to what is wrong in the body."],
            ], optional: ["order_id", "item_id", "user_id", "pointer"]
        ).with([
            "example": [
                "type": "/problems/out-of-stock", "title": "Out of stock", "status": 409,
                "detail": "2 units of item 3 are wanted and 1 are left. Nothing was changed; add stock, then try again.",
                "order_id": "1", "item_id": "3",
            ]
        ])
    }
}

// MARK: Explanations

extension OpenAPISchemas {
    /// The shape of the answer of `/orders/explain`.
    static var explanation: JSONValue {
        explanation(money: reference("Money"), amount: ["type": "number", "minimum": 0])
    }

    /// - Parameters:
    ///   - money: the shape of money.
    ///   - amount: that of money or units.
    static func explanation(money: JSONValue, amount: JSONValue) -> JSONValue {
        let text: JSONValue = ["type": "string"]
        let time: JSONValue = ["type": "string", "format": "date-time"]
        let step = object(
            [
                "step": ["type": "string", "enum": ["begin", "hold", "decide", "capture", "release", "reserve", "finish"]],
                "account": ["type": "string", "description": "Whose account it is about, such as \"item 3\"."],
                "amount": amount, "at": time, "outcome": text, "reason": text,
                "next_retry": time,
            ], optional: ["account", "amount", "at", "reason", "next_retry"])
        let attempt = object(
            [
                "attempt": ["type": "integer", "minimum": 1], "began": time,
                "outcome": ["type": "string", "enum": ["paid", "refused", "retried", "running", "reserved", "given_back"]],
                "reason": text,
                "steps": ["type": "array", "items": step],
            ], optional: ["reason"])
        let payment = object(
            [
                "state": [
                    "type": "string", "enum": ["none", "standing", "cancelled", "unknown"],
                    "description": "Whether it stands: then no checkout charges for the order, and it can be cancelled.",
                ],
                "amount": money,
            ], optional: ["amount"])
        let refund = object([
            "number": ["type": "integer", "minimum": 1], "amount": money, "reason": text, "began": time,
            "finished": ["anyOf": [time, ["type": "null"]]],
        ])
        return object([
            "order_id": reference("Id"),
            "state": ["type": "string", "enum": ["open", "reserved", "checking_out", "paid", "removed"]],
            "user_id": reference("Id"), "total_cost": money, "summary": text,
            "direct_payment": payment,
            "to_succeed": ["type": "array", "items": text, "description": "What would make a checkout succeed."],
            "forgotten_attempts": [
                "type": "integer", "minimum": 0, "description": "Older attempts, of which nothing is kept.",
            ],
            "attempts": ["type": "array", "items": attempt], "refunds": ["type": "array", "items": refund],
        ])
    }

    static let explanationExample: JSONValue = [
        "order_id": "1", "state": "open", "user_id": "7", "total_cost": 10,
        "summary": "The last checkout failed: item 3: 2 wanted, 1 left.", "direct_payment": ["state": "none"],
        "to_succeed": ["item 3: 2 wanted, 1 left: add at least 1 of stock."], "forgotten_attempts": 0,
        "attempts": [
            [
                "attempt": 1, "began": "2026-01-31T12:00:00.000Z", "outcome": "refused",
                "reason": "item 3: 2 wanted, 1 left",
                "steps": [
                    ["step": "begin", "at": "2026-01-31T12:00:00.000Z", "outcome": "The order is locked."],
                    [
                        "step": "hold", "account": "item 3", "amount": 2, "at": "2026-01-31T12:00:00.000Z",
                        "outcome": "Refused.",
                    ],
                    [
                        "step": "decide", "at": "2026-01-31T12:00:00.001Z", "outcome": "The checkout is refused.",
                        "reason": "item 3: 2 wanted, 1 left",
                    ],
                    ["step": "finish", "at": "2026-01-31T12:00:00.001Z", "outcome": "The order is unlocked."],
                ],
            ]
        ], "refunds": [],
    ]
}
