// The table of all routes, and the index that finds the one that a path leads to.

import KontorAccess

/// All routes, in the order in which they are documented. Built once.
struct RouteTable: Sendable {
    /// A route and its number in the table. It is an object so that a request can carry its route to its answer
    /// cheaply.
    final class Entry: Sendable {
        let route: Route
        /// ``Route/scopes``, which is asked for with each request of a closed shop: asking the route copies it.
        let scopes: Scopes
        /// The position in the table, from 0.
        let number: Int
        /// Another route with the same path, and other methods; nil: there is none.
        let next: Entry?

        init(_ route: Route, number: Int, next: Entry?) {
            self.route = route
            scopes = route.scopes
            self.number = number
            self.next = next
        }
    }

    /// A place between two segments of a path.
    private struct Node {
        /// The fixed segments that may follow, each with its length in bytes (most differ in it, which is quick to see)
        /// and the number of the node behind it.
        var fixed: [(length: Int, text: String, next: Int)] = []
        /// The number of the node behind an argument; nil if no argument may follow.
        var argument: Int?
        /// The route whose path ends here: the first of them, if there are several.
        var entry: Entry?

        func next(_ segment: String) -> Int? {
            let length = segment.utf8.count
            for index in fixed.indices where fixed[index].length == length && fixed[index].text == segment {
                return fixed[index].next
            }
            return argument
        }
    }

    static let all = RouteTable(
        StockRoutes.all + PaymentRoutes.all + OrderRoutes.all + ItemResources.all + UserResources.all + OrderResources.all
            + OperationsRoutes.all)

    private(set) var entries: [Entry] = []
    /// The first one is the place before the first segment.
    private var nodes = [Node()]

    /// - Precondition: routes with one path have different methods. Paths that differ only in the names of parameters
    ///   are the same.
    init(_ routes: [Route]) { for route in routes { insert(route) } }

    var routes: [Route] { entries.map(\.route) }

    /// The first route that a path leads to, whatever the method; nil if there is none.
    func entry(at path: borrowing PathSegments) -> Entry? {
        var place = 0
        for index in 0..<path.length {
            guard let next = nodes[place].next(path[index]) else { return nil }
            place = next
        }
        return nodes[place].entry
    }

    private mutating func insert(_ route: Route) {
        var place = 0
        for part in route.path {
            place = part.parameter == nil ? placeBehind(fixed: part.text, at: place) : placeBehindArgument(at: place)
        }
        var other = nodes[place].entry
        while let present = other {
            precondition(present.route.methods.isDisjoint(with: route.methods), "Two routes are at \(route.template).")
            other = present.next
        }
        let entry = Entry(route, number: entries.count, next: nodes[place].entry)
        entries.append(entry)
        nodes[place].entry = entry
    }

    private mutating func placeBehind(fixed text: String, at place: Int) -> Int {
        if let known = nodes[place].fixed.first(where: { $0.text == text }) { return known.next }
        nodes.append(Node())
        nodes[place].fixed.append((text.utf8.count, text, nodes.count - 1))
        return nodes.count - 1
    }

    private mutating func placeBehindArgument(at place: Int) -> Int {
        if let known = nodes[place].argument { return known }
        nodes.append(Node())
        nodes[place].argument = nodes.count - 1
        return nodes.count - 1
    }
}
