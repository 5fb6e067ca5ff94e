// Errors that say: not executed, try elsewhere or later. Decides from the replies of a unit what becomes of it. Pure.

/// An answer which means that a command was not executed, and that it may be sent again.
enum RedisRefusal: Hashable {
    /// Another node owns the slot, from now on.
    case moved(slot: Int, to: RedisAddress)
    /// The slot is being moved, and for this key another node is to be asked, once.
    case ask(RedisAddress)
    /// Not now.
    case busy(String)
    /// Not now, and perhaps not here: the map should be looked at again.
    case misplaced(String)

    /// - Parameters:
    ///   - error: The text of an error.
    ///   - asked: Who answered it: redirections leave out the host if it is the same.
    /// - Returns: nil for every other error.
    init?(_ error: String, asked: RedisAddress) {
        let words = error.split(separator: " ", maxSplits: 3)
        switch words.first {
        case "MOVED", "ASK":
            guard words.count >= 3, let slot = Int(words[1]), (0..<RedisSlot.count).contains(slot),
                let address = RedisAddress(words[2])
            else {
                self = .misplaced(error)
                return
            }
            let target = address.host.isEmpty ? RedisAddress(host: asked.host, port: address.port) : address
            self = words[0] == "ASK" ? .ask(target) : .moved(slot: slot, to: target)
        case "TRYAGAIN", "LOADING", "MASTERDOWN": self = .busy(error)
        case "CLUSTERDOWN", "READONLY": self = .misplaced(error)
        default: return nil
        }
    }

    /// What it says, for people.
    var reason: String {
        switch self {
        case .moved(let slot, let target): "slot \(slot) moved to \(target)"
        case .ask(let target): "its slot is being moved to \(target)"
        case .busy(let error), .misplaced(let error): error
        }
    }

    /// Why a unit was not executed, if it was not.
    ///
    /// A unit of writes stands or falls with its first command. One of reads can always be sent again, so there each
    /// reply counts.
    ///
    /// - Parameter replies: Those that came so far.
    static func of(_ replies: [RESPValue], lane: RedisLane, asked: RedisAddress) -> RedisRefusal? {
        let decisive = lane == .writes ? replies.prefix(1) : replies[...]
        for case .error(let error) in decisive {
            if let refusal = RedisRefusal(error, asked: asked) { return refusal }
        }
        return nil
    }
}
