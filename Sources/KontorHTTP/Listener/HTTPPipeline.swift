// The handlers of a listener's connections, for callers that bring channels of their own: Tests/Guard counts the
// instructions of requests without sockets.

import NIOCore

/// The handlers of one event loop's connections.
package final class HTTPPipeline {
    private let table: ConnectionTable

    /// - Parameter eventLoop: the event loop of all channels to come.
    package init(_ service: HTTPService, on eventLoop: any EventLoop) {
        table = ConnectionTable(
            service: service, maximumConnections: service.maximumConnections, eventLoop: eventLoop)
    }

    /// Adds HTTP's handlers to a channel. To be called on the event loop, before the channel is active.
    package func addHandlers(to channel: any Channel) throws {
        try HTTPListener.addHandlers(to: channel, table)
    }
}
