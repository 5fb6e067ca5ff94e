// The links of one process, as a shop's transport: to the services that it asks, and from the processes that ask it.

import KontorCore
import KontorService

/// All links of one process.
///
/// `@unchecked Sendable`: used on their event loop only.
public final class ServiceLinks: Transport, @unchecked Sendable {
    /// The clients of the services that this process asks, by what they serve.
    public var clients: [GroupKey.Kind: LinkClient] = [:]
    /// Takes the links of other processes; nil: none may connect.
    public var server: LinkServer?

    public init() {}

    /// Starts to connect to the services.
    public func start() { for client in clients.values { client.start() } }

    /// Whether each service that this process asks has a replica that takes requests.
    public var isConnected: Bool { clients.values.allSatisfy(\.isConnected) }

    public func peers(of kind: GroupKey.Kind) -> PeerState { clients[kind]?.peers ?? PeerState() }

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
