// One command of an engine's batch, from the mailbox to its reply.

import KontorCore

/// A command, and where its reply goes.
struct BatchEntry<R: Rules> {
    let command: R.Command
    let keyed: KeyedWrite?
    var reply: (Reply<R.Outcome>) -> Void
    /// Whether the command must be decided on the newest records: a decision on remembered ones did not stand.
    var mustBeFresh = false
    /// Whether an earlier decision on the command may have been committed and overwritten since. Then a refusal by
    /// the store does not mean that it had no effect.
    var mayHaveLanded = false
    /// nil until the command is decided.
    var decision: BatchDecision<R>?

    /// The reply when a store refused the command.
    func refused(_ error: StoreError) -> Reply<R.Outcome> { mayHaveLanded ? .unknown : .refused(error) }
}

/// What was decided on a command, until its group is committed.
struct BatchDecision<R: Rules> {
    let reply: Reply<R.Outcome>
    /// Index of the command's group in the batch.
    let group: Int
    /// Whether the decision assumed that some member is absent.
    let isGuess: Bool
}
