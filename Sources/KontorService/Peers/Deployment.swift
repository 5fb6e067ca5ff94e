// Whether a shop is alone over its store or one process of several, and how it reaches the others.

import KontorCore

/// Which processes work on the store of a shop.
public enum Deployment {
    /// This one alone. Messages go from queue to queue, and none is lost, doubled or late.
    case alone
    /// One of several. It serves `serving` from its own store, and reaches the rest of the shop over the transport.
    case oneOfSeveral(serving: Set<GroupKey.Kind>, over: any Transport)

    /// Whether this process serves orders.
    var servesOrders: Bool {
        switch self {
        case .alone: true
        case .oneOfSeveral(let serving, _): serving.contains(.order)
        }
    }
}

extension GroupKey.Kind {
    /// The name of the service that keeps these groups: in metrics, in logs, and in its store over Redis.
    public var serviceName: String {
        switch self {
        case .item: "stock"
        case .user: "payment"
        case .order: "order"
        }
    }
}

/// Carries messages to all processes of a shop, this one among them. A message may be lost, doubled, late and out of
/// order.
public protocol Transport: AnyObject {
    /// Sends requests to processes that serve their recipients, and replies over the links that the requests came over.
    /// Replies come back to ``Shop/receive(_:)`` with the origins of their requests. Everything that the messages tell
    /// must be durable.
    func send(_ messages: [Message])
    /// What is known of the processes that serve a kind of group.
    func peers(of kind: GroupKey.Kind) -> PeerState
}

extension Transport {
    public func peers(of kind: GroupKey.Kind) -> PeerState { PeerState() }
}

/// What is known of the processes of one service.
public struct PeerState: Hashable, Sendable {
    /// Whether a message would be sent now. If not, it would be dropped.
    public var isReachable = true
    /// Why one of them takes no new work; nil: all take it, as far as they have said.
    public var admission: StoreError?
    /// By how much one of their clocks is ahead of this process's (behind it: negative), of all of them the one that is
    /// furthest off, milliseconds; nil: not known.
    public var clockSkewMilliseconds: Int64?

    public init() {}
}

/// Takes messages from other processes. Called on the shop's serial domain, with all messages of one frame at once.
public protocol MessageReceiver: AnyObject {
    /// Takes requests, whose origin is their link, or replies, with the origins of their requests.
    func receive(_ messages: [Message])
}
