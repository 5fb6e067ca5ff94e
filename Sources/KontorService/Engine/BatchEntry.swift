// One command of an engine's batch, from the mailbox to its reply.

import KontorCore

/// A command, where its reply goes, and what was decided on it.
///
/// It is a class because it goes from queue to queue: a generic struct of this size would be copied field by field each
/// time, which costs more than an allocation.
///
/// Its end is compiled once for all rules, so it destroys fields whose types it has to know at run time. The parameters
/// of the class are at hand. Any type made of them, such as the reply of some rules or an optional reply, would be
/// looked up for each entry, at some hundred instructions.
final class BatchEntry<Command, Reply> {
    let command: Command
    let keyed: KeyedWrite?
    var reply: (Reply) -> Void
    /// Whether its sender repeats it, so that the latest copy's sender gets the reply.
    let isRepeated: Bool
    /// Whether the command must be decided on the newest records: a decision on remembered ones did not stand.
    var mustBeFresh = false
    /// Whether an earlier decision on the command may have been committed and overwritten since. Then a refusal by
    /// the store does not mean that it had no effect.
    var mayHaveLanded = false
    /// The group on which the command was decided last; nil: it is not decided.
    private(set) var group: BatchGroup?
    /// The reply that was decided then; before, `unknown`.
    private(set) var decision: Reply
    /// Whether the decision assumed that some member is absent.
    private(set) var isGuess = false

    init<Outcome>(
        _ command: Command, keyed: KeyedWrite?, isRepeated: Bool, reply: @escaping (Reply) -> Void
    ) where Reply == KontorCore.Reply<Outcome> {
        decision = .unknown
        self.command = command
        self.keyed = keyed
        self.isRepeated = isRepeated
        self.reply = reply
    }

    /// The number of its read sets: the command's own, and those of its keys.
    var reads: Int {
        guard let keyed else { return 1 }
        var count = 1
        keyed.forEachMember { _ in count += 1 }
        return count
    }

    /// Notes what was decided.
    func decide(_ reply: Reply, on group: BatchGroup, isGuess: Bool) {
        decision = reply
        self.group = group
        self.isGuess = isGuess
    }

    /// Replies that a store refused the command, or does not give its records.
    func refuse<Outcome>(_ error: StoreError) where Reply == KontorCore.Reply<Outcome> {
        group = nil
        reply(mayHaveLanded ? .unknown : .refused(error))
    }
}
