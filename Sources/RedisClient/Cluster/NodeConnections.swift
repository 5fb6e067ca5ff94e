// The connections of one client: which there are, and which of them go when the slot map changes.

/// For each node and lane a connection, made when it is first needed.
final class NodeConnections {
    private let context: ClientContext
    private var connections: [ReconnectingConnection.Key: ReconnectingConnection] = [:]
    /// Connections to nodes that left the slot map, kept until the requests in flight on them are answered.
    private var retired: [ReconnectingConnection] = []

    init(_ context: ClientContext) { self.context = context }

    /// The connection to a node for a lane. If it is new, it reports to `owner`.
    func connection(
        _ key: ReconnectingConnection.Key, owner: any ReconnectingConnectionOwner
    ) -> ReconnectingConnection {
        if let connection = connections[key] { return connection }
        let connection = ReconnectingConnection(key, context, owner: owner)
        connections[key] = connection
        return connection
    }

    /// The nodes that could not be reached when they were last tried.
    var failingNodes: Set<RedisAddress> { Set(connections.values.filter(\.isFailing).map(\.key.address)) }

    /// Whether requests wait for a connection.
    var hasWaiting: Bool { connections.values.contains { $0.hasWaiting } }

    /// Whether requests wait for a connection to a node that could not be reached when it was last tried.
    var hasWaitingForFailing: Bool { connections.values.contains { $0.isFailing && $0.hasWaiting } }

    /// Takes out the waiting requests for which `isTaken` is true, with the nodes that they wait for.
    func takeWaiting(where isTaken: (RedisRequest) -> Bool) -> [(request: RedisRequest, node: RedisAddress)] {
        connections.values.flatMap { connection in
            connection.takeWaiting(where: isTaken).map { ($0, connection.key.address) }
        }
    }

    /// Retires the connections to all other nodes.
    ///
    /// - Returns: The requests that waited on any connection and may now belong to another one.
    func keepOnly(_ masters: Set<RedisAddress>) -> [RedisRequest] {
        var waiting: [RedisRequest] = []
        for (key, connection) in connections {
            if masters.contains(key.address) {
                waiting += connection.takeWaiting { $0.pinnedNode == nil && $0.askedNode == nil }
            } else {
                waiting += connection.takeWaiting()
                connections[key] = nil
                if connection.isConnected { retired.append(connection) }
                connection.retire()
            }
        }
        return waiting
    }

    /// Closes the connections to a node; they reconnect.
    func reset(_ node: RedisAddress, _ reason: String) {
        for lane in [RedisLane.reads, .writes] {
            connections[ReconnectingConnection.Key(address: node, lane: lane)]?.reset(reason)
        }
    }

    /// Forgets a retired connection that has closed.
    func didClose(_ connection: ReconnectingConnection) {
        retired.removeAll { $0 === connection }
    }

    /// Retires a connection that nobody waits for.
    func retireIfUnused(_ connection: ReconnectingConnection) {
        guard connections[connection.key] === connection, !connection.hasWaiting else { return }
        connections[connection.key] = nil
        connection.retire()
    }

    /// Closes all connections for good.
    ///
    /// - Returns: The requests that waited.
    func close(_ reason: String) -> [RedisRequest] {
        var waiting: [RedisRequest] = []
        for connection in Array(connections.values) {
            waiting += connection.takeWaiting()
            connection.close(reason)
        }
        connections = [:]
        for connection in retired { connection.close(reason) }
        return waiting
    }
}
