// Whether a shop is alone over its store or one process of several, and how it reaches the others.

import KontorCore

/// Who else works on the store of a shop.
public enum Deployment {
    /// Nobody. Messages go from queue to queue, and none is lost, doubled or late.
    case alone
    /// Other processes. This one serves `serving` from its own store, and reaches the rest of the shop over the transport.
    case oneOfSeveral(serving: Set<GroupKey.Kind>, over: any Transport)
}

/// The way to all processes of a shop that is spread over several, this one among them. Each message may be lost, doubled or late, and
/// they may arrive in any order.
public protocol Transport: AnyObject {
    /// Sends requests to any process that serves their recipients, and replies over the links that their requests came over. What comes back
    /// is handed to ``Shop/receive(_:)``, with the origin of its request. All that the messages tell is durable.
    func send(_ messages: [Message])
}

/// Takes messages that came from other processes. Called on the shop's serial domain, with all that one frame brought at once.
public protocol MessageReceiver: AnyObject {
    /// Takes requests, with the link that they came over as their origin, or replies, with the origin of their requests.
    func receive(_ messages: [Message])
}
