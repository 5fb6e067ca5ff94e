// The links of one process, as a shop uses them: to the services that it asks, and from those that ask it.

import KontorCore
import KontorService

/// All links of one process.
///
/// `@unchecked Sendable`: used on their event loop only.
public final class ServiceLinks: Transport, @unchecked Sendable {
    /// The services that this process asks, by what they serve.
    public var clients: [GroupKey.Kind: LinkClient] = [:]
    /// Takes the links of other processes; nil: none may come.
    public var server: LinkServer?

    public init() {}

    /// Begins to connect.
    public func start() { for client in clients.values { client.start() } }

    /// Whether of each service that this process asks at least one replica takes messages.
    public var isConnected: Bool { clients.values.allSatisfy(\.isConnected) }

    /// Forgets what was asked: another instance of the shop follows, and knows nothing of it.
    public func forgetReplies() { for client in clients.values { client.forgetReplies() } }

    public func send(_ messages: [Message]) {
        for message in messages {
            if let recipient = message.recipient {
                clients[recipient.kind]?.send(message)
            } else {
                server?.send(message)
            }
        }
    }
}
