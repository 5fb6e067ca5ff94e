// Sends calls of the commit script, with the WAIT behind them where replicas must have them, and reads their replies.

import KontorCore
import KontorService
import RedisClient

/// Sends commits of one shop.
struct CommitSender {
    let client: RedisClient
    /// The epoch's copy of each partition.
    let epochs: [[UInt8]]
    let replicaWait: ReplicaWait

    /// Sends a call as a request of its own: the client sends a request again if its first command was not executed, so
    /// no other command in it may have an effect.
    ///
    /// - Parameter isLoaded: Whether the server is believed to have the script.
    func send(
        _ call: CommitCall, to partition: Int, isLoaded: Bool = true, completion: @escaping (CommitReply) -> Void
    ) {
        let command = call.command(epoch: epochs[partition], key: RedisKeys.epoch(partition), isLoaded: isLoaded)
        client.send(
            [command], then: replicaWait.command, slot: RedisKeys.slots[partition], lane: .writes,
            deadline: RedisStoreLimits.callDeadline
        ) { result in
            // The server has restarted, or is another one. Nothing was run; the script's source goes along now.
            if isLoaded, case .success(let replies) = result, replies.first?.errorText?.hasPrefix("NOSCRIPT") == true {
                send(call, to: partition, isLoaded: false, completion: completion)
            } else {
                completion(CommitReply(result: result, replicaWait: replicaWait))
            }
        }
    }
}

/// What came back for a call of the commit script.
struct CommitReply {
    let result: Result<[RESPValue], RedisClientError>
    let replicaWait: ReplicaWait

    /// The error with which the server answered; nil for none.
    var error: StoreError? {
        guard case .success(let replies) = result, let error = replies.first?.errorText else { return nil }
        return .unreachable(error)
    }

    /// Why the replicas may not have what was written; nil if they have it, or nothing was written.
    var unconfirmed: String? {
        guard case .success(let replies) = result, replies.first?.errorText == nil else { return nil }
        return replicaWait.trouble(in: replies)
    }

    /// What became of a change.
    ///
    /// - Parameters:
    ///   - place: The change's place in the call, from 0.
    ///   - version: The version that the change would give its group.
    func outcome(of place: Int, _ version: Version) -> CommitOutcome {
        switch result {
        case .failure(.notSent(let reason)): return .refused(.unreachable(reason))
        case .failure(.unknown): return .unknown(version)
        case .success(let replies):
            guard let first = replies.first else { return .unknown(version) }
            if let error = first.errorText { return CommitReply.outcome(ofError: error, version) }
            guard let written = first.bytes?.readableBytesView, place < written.count else {
                return .unknown(version)
            }
            if written[written.startIndex + place] == UInt8(ascii: "0") { return .conflict }
            return replicaWait.trouble(in: replies) == nil ? .committed : .unknown(version)
        }
    }

    private static func outcome(ofError error: String, _ version: Version) -> CommitOutcome {
        switch error.prefix(while: { $0 != " " }) {
        // All of these come before the script's first write.
        case "OOM": return .refused(.memoryFull)
        case "EPOCH", "MISCONF", "NOREPLICAS": return .refused(.unreachable(error))
        default: return .unknown(version)
        }
    }
}
