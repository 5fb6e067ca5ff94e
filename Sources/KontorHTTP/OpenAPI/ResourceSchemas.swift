// The shapes of /v1 in the OpenAPI document.

import KontorCore

extension OpenAPISchemas {
    private static let time: JSONValue = ["anyOf": [["type": "string", "format": "date-time"], ["type": "null"]]]

    private static let orderProperties: JSONValue = [
        "id": reference("Id"), "user_id": reference("Id"),
        "state": ["type": "string", "enum": .array(OrderState.allCases.map { .string($0.rawValue) })],
        "lines": ["type": "array", "items": reference("OrderLine")], "total": reference("MoneyText"),
        "refunded": reference("MoneyText"), "created_at": time, "paid_at": time, "reserved_until": time,
    ]

    /// An order.
    static var orderResource: JSONValue { object(orderProperties) }

    /// An order that was just made.
    static var placedOrder: JSONValue {
        object(orderProperties.with(["checkout_problem": reference("Problem")]), optional: ["checkout_problem"])
    }

    static let orderResourceExample: JSONValue = [
        "id": "1", "user_id": "7", "state": "open",
        "lines": [["item_id": "3", "units": 2, "unit_price": "7.25", "refunded_units": 0]], "total": "14.50",
        "refunded": "0.00",
        "created_at": "2026-01-31T12:00:00.000Z", "paid_at": .null, "reserved_until": .null,
    ]

    /// A refund.
    static var refund: JSONValue {
        object([
            "number": ["type": "integer", "minimum": 1], "order_id": reference("Id"), "user_id": reference("Id"),
            "amount": reference("MoneyText"),
            "lines": [
                "type": "array",
                "items": object([
                    "item_id": reference("Id"), "units": ["type": "integer", "minimum": 1],
                    "unit_price": reference("MoneyText"),
                ]),
            ],
            "restock": ["type": "boolean"], "reason": ["type": "string"], "created_at": time, "finished_at": time,
        ])
    }

    static let refundExample: JSONValue = [
        "number": 1, "order_id": "1", "user_id": "7", "amount": "7.25",
        "lines": [["item_id": "3", "units": 1, "unit_price": "7.25"]], "restock": true, "reason": "broken on arrival",
        "created_at": "2026-01-31T12:00:00.000Z", "finished_at": "2026-01-31T12:00:00.004Z",
    ]

    /// The explanation of an order, with money as text.
    static var timeline: JSONValue {
        explanation(money: reference("MoneyText"), amount: ["anyOf": [["type": "integer"], ["type": "string"]]])
    }

    /// What bodies and answers of /v1 are made of.
    static let resourceValues: JSONValue = [
        "MoneyText": [
            "type": "string", "pattern": #"^-?[0-9]{1,12}\.[0-9]{2}$"#,
            "description": "Money with two digits behind the point.",
        ],
        "MoneyInput": [
            "description": "Money as a string or a number, with two digits behind the point at most.",
            "anyOf": [
                ["type": "string", "pattern": #"^[0-9]{1,11}(\.[0-9]{1,2})?$"#],
                [
                    "type": "number", "minimum": 0, "maximum": .integer(Limits.moneyHundredths / 100),
                    "multipleOf": .decimal("0.01"),
                ],
            ],
        ],
        "MoneyChange": [
            "description": "Money that is added, or with a minus taken away; not 0.",
            "anyOf": [
                [
                    "type": "string",
                    "pattern": #"^-?(0\.(0[1-9]|[1-9][0-9]?)|[1-9][0-9]{0,10}(\.[0-9]{1,2})?)$"#,
                ],
                [
                    "type": "number", "minimum": .decimal("0.01"), "maximum": .integer(Limits.moneyHundredths / 100),
                    "multipleOf": .decimal("0.01"),
                ],
                [
                    "type": "number", "minimum": .integer(-Limits.moneyHundredths / 100), "maximum": .decimal("-0.01"),
                    "multipleOf": .decimal("0.01"),
                ],
            ],
        ],
        "OrderLine": object([
            "item_id": reference("Id"), "units": ["type": "integer", "minimum": 1], "unit_price": reference("MoneyText"),
            "refunded_units": balance,
        ]),
        "WantedLine": strict(["item_id": reference("Id"), "units": reference("Units")]),
    ]

    /// An object without further members.
    static func strict(_ properties: JSONValue, optional: Set<String> = []) -> JSONValue {
        object(properties, optional: optional).with(["additionalProperties": false])
    }

    /// Lines that somebody wants. Those of one item count together.
    static let wantedLines: JSONValue = [
        "type": "array", "maxItems": .integer(Int64(Limits.orderLines)), "items": reference("WantedLine"),
    ]

    static let reason: JSONValue = [
        "type": "string", "maxLength": .integer(Int64(Limits.trailTextBytes)), "description": "Why: for the audit trail.",
    ]
}
