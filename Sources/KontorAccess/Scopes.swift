// What callers may do, in the words of the contract.

/// A set of scopes. A route asks for one of them at most.
public struct Scopes: OptionSet, Hashable, Sendable, CustomStringConvertible {
    /// A bit for each scope.
    public let rawValue: UInt8

    /// Makes a set of its bits.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// To read items, users, orders, and what became of an order.
    public static let read = Scopes(rawValue: 1)
    /// To make and change orders, and to check them out.
    public static let orders = Scopes(rawValue: 2)
    /// To make users, and to pay and cancel directly.
    public static let payments = Scopes(rawValue: 4)
    /// To make stock and money: items, stock, credit, `batch_init`.
    public static let admin = Scopes(rawValue: 8)
    /// To read `/metrics`.
    public static let metrics = Scopes(rawValue: 16)
    /// To operate the shop: the audit.
    public static let operate = Scopes(rawValue: 32)

    /// All of them, each with its name.
    public static let named: [(name: String, scope: Scopes)] = [
        ("read", .read), ("orders", .orders), ("payments", .payments), ("admin", .admin), ("metrics", .metrics),
        ("operate", .operate),
    ]

    /// What a customer can do: a token that is bound to a user has none besides.
    public static let ofUsers: Scopes = [.read, .orders, .payments]

    /// The scopes with these names; nil: there is no such name among them, or none at all.
    public init?(names: some Sequence<some StringProtocol>) {
        var scopes: Scopes = []
        for name in names {
            guard let known = Self.named.first(where: { $0.name == name }) else { return nil }
            scopes.insert(known.scope)
        }
        if scopes.isEmpty { return nil }
        self = scopes
    }

    /// The names, with commas between them.
    public var description: String {
        Self.named.filter { contains($0.scope) }.map(\.name).joined(separator: ",")
    }
}
