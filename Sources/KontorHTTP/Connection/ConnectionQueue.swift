// Connections that stand in a line, because only so many may be as they are.

/// Connections in the order in which they came, at most so many. It is used on one event loop.
struct ConnectionQueue {
    private var members: [ConnectionHandler] = []
    private let bound: Int

    init(bound: Int) { self.bound = bound }

    var count: Int { members.count }

    /// Adds a connection at the end.
    ///
    /// - Returns: the one that stood first, and is not in the line any more, if there are too many; else nil.
    mutating func add(_ connection: ConnectionHandler) -> ConnectionHandler? {
        members.append(connection)
        return members.count > bound ? members.removeFirst() : nil
    }

    /// Takes a connection out. Does nothing if it is not in the line.
    mutating func remove(_ connection: ConnectionHandler) {
        if let place = members.firstIndex(where: { $0 === connection }) { members.remove(at: place) }
    }
}
