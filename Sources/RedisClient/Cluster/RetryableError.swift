// Error replies that mean "not executed: try elsewhere, or later". Decides from a request's replies whether that is so.
// Pure.

/// An error reply which means that the command was not executed, and may be sent again.
enum RetryableError: Hashable {
    /// `MOVED`: another node owns the slot, from now on.
    case moved(slot: Int, to: RedisAddress)
    /// `ASK`: the slot is being moved, and its keys that are gone already are at another node. That one is to be asked,
    /// once.
    case ask(RedisAddress)
    /// The node cannot execute it now.
    case busy(String)
    /// The node cannot execute it now, and may be the wrong one: the slot map should be refreshed.
    case misplaced(String)

    /// Reads the text of an error reply; nil for every other error.
    ///
    /// - Parameter node: The node that replied: redirections leave out the host if it stays the same.
    init?(_ error: String, from node: RedisAddress) {
        let words = error.split(separator: " ", maxSplits: 3)
        switch words.first {
        case "MOVED", "ASK":
            guard words.count >= 3, let slot = Int(words[1]), (0..<HashSlot.count).contains(slot),
                let address = RedisAddress(words[2])
            else {
                self = .misplaced(error)
                return
            }
            let target = address.host.isEmpty ? RedisAddress(host: node.host, port: address.port) : address
            self = words[0] == "ASK" ? .ask(target) : .moved(slot: slot, to: target)
        case "TRYAGAIN", "LOADING", "MASTERDOWN": self = .busy(error)
        case "CLUSTERDOWN", "READONLY": self = .misplaced(error)
        default: return nil
        }
    }

    /// What the error says, in words for people.
    var reason: String {
        switch self {
        case .moved(let slot, let target): "slot \(slot) moved to \(target)"
        case .ask(let target): "its slot is being moved to \(target)"
        case .busy(let error), .misplaced(let error): error
        }
    }

    /// The error because of which a request was not executed and may be sent again; nil if it was executed.
    ///
    /// For writes the first reply decides, since later commands must have no effect. Reads can always be sent again, so
    /// any reply decides.
    ///
    /// - Parameters:
    ///   - replies: Those that came so far.
    ///   - node: The node that gave them.
    static func decisive(in replies: [RESPValue], lane: RedisLane, from node: RedisAddress) -> RetryableError? {
        let decisive = lane == .writes ? replies.prefix(1) : replies[...]
        for case .error(let text) in decisive {
            if let error = RetryableError(text, from: node) { return error }
        }
        return nil
    }
}
