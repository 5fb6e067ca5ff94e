// What a listener puts on each of its connections, for who brings the connections: the benchmark that guards counts the
// instructions of requests that no socket delays.

import NIOCore

/// The handlers of one event loop's connections.
package final class HTTPPipeline {
    private let table: ConnectionTable

    /// - Parameter eventLoop: that of all channels to come.
    package init(_ service: HTTPService, on eventLoop: any EventLoop) {
        table = ConnectionTable(
            service: service, maximumConnections: service.maximumConnections, eventLoop: eventLoop)
    }

    /// To be called on the event loop, before the channel is active.
    package func addHandlers(to channel: any Channel) throws {
        try HTTPListener.addHandlers(to: channel, table)
    }
}
