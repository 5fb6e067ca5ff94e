// The engines of one kind of groups. What one part of a store does not answer must not hold up the commands for the
// others, so each part that can fail by itself has an engine of its own.

import KontorCore

/// Decides commands of one kind: an ``Engine`` for each lane of the store (``RecordStore/lanes``). Commands of one
/// group are decided in their order.
final class ShardedEngine<R: Rules> {
    private let engines: [Engine<R>]

    /// - Parameter expiryClock: gives the time by which messages expire; nil: no message can be late.
    init(
        store: any RecordStore, agenda: Agenda, metrics: EngineMetrics = EngineMetrics(),
        expiryClock: (any ShopClock)? = nil
    ) {
        engines = (0..<max(1, store.lanes)).map { _ in
            Engine(store: store, agenda: agenda, metrics: metrics, expiryClock: expiryClock)
        }
    }

    /// See ``Engine/submit(_:keyed:reply:)``.
    func submit(_ command: R.Command, keyed: KeyedWrite? = nil, reply: @escaping (Reply<R.Outcome>) -> Void) {
        engine(for: command).submit(command, keyed: keyed, reply: reply)
    }

    private func engine(for command: R.Command) -> Engine<R> {
        if engines.count == 1 { return engines[0] }
        return engines[Partition.of(R.readSet(of: command).group.id) % engines.count]
    }

    /// Commands that wait to be decided, without those of the present batches.
    var waiting: Int { engines.reduce(0) { $0 + $1.waiting } }
}
