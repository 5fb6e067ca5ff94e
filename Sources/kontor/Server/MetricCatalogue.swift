// The meaning of each metric in a sentence, for /metrics. docs/operating.md says how to read them, and what is normal.

import KontorCore
import KontorMetrics

enum MetricCatalogue {
    static let families = checkouts + http + engines + ledgers + store + recovery

    private static let checkouts = [
        MetricFamily("kontor_checkouts", "Checkouts that ended, each once, by outcome."),
        MetricFamily("kontor_checkouts_not_begun", "Checkouts that did not begin, by reason."),
        MetricFamily("kontor_checkout_retries", "Checkouts that released everything and began again in lock order."),
        MetricFamily("kontor_open_sagas", "Checkouts that have begun and not ended."),
        MetricFamily("kontor_oldest_saga_seconds", "How long ago the oldest open checkout began."),
        MetricFamily("kontor_saga_messages_resent", "Messages of checkouts that were sent again for want of a reply."),
        MetricFamily("kontor_anomalies", "What must not happen, by kind; anything but 0 is a bug or lost data."),
        MetricFamily("kontor_requests_in_flight", "Requests that the shop has taken and not answered."),
        MetricFamily("kontor_refusals", "Requests and connections that were refused for want of room, by reason."),
        MetricFamily("kontor_reservations", "Orders that this process has reserved, extensions among them."),
        MetricFamily("kontor_reservations_expired", "Reservations that were over and that this process began to give back."),
        MetricFamily("kontor_refunds", "Refunds that this process has finished, or has seen finished."),
        MetricFamily("kontor_open_refunds", "Refunds that have begun and not ended."),
        MetricFamily("kontor_oldest_refund_seconds", "How long ago the oldest open refund began."),
        MetricFamily("kontor_batch_inits", "Runs of batch_init that ended, by what they made and how."),
    ]

    private static let http = [
        MetricFamily(
            "kontor_http_request_seconds",
            "From a request's turn on its connection to its answer, by route and status."),
        MetricFamily("kontor_http_connections", "Open connections, by listener."),
        MetricFamily(
            "kontor_open_to_everyone", "1 if other machines can reach the public port and nobody is asked who he is, else 0."),
        MetricFamily("kontor_http_connections_dropped", "Connections closed because the client did not read its answers."),
        MetricFamily("kontor_http_connections_evicted", "Idle connections closed because others needed their place."),
        MetricFamily("kontor_tls_certificate_end_seconds", "When the certificate of the listeners ends, seconds since 1970."),
        MetricFamily("kontor_tls_handshakes_failed", "Connections refused for want of good TLS, by listener and reason."),
    ]

    private static let engines = [
        MetricFamily(
            "kontor_engine_batch_commands", "Commands that an engine decided in one batch.",
            buckets: .powersOfTwo(upTo: Int64(Limits.engineBatchCommands))),
        MetricFamily(
            "kontor_engine_copies", "Copies of waiting steps that were dropped because the engine was behind."),
        MetricFamily("kontor_engine_mailbox_peak", "The most commands that waited for an engine within the last second."),
    ]

    private static let ledgers = [
        MetricFamily("kontor_ledger_deposited", "Put in since the start (units of stock, hundredths of money)."),
        MetricFamily("kontor_ledger_withdrawn", "Taken out since the start, other than by checkouts and payments."),
        MetricFamily("kontor_ledger_captured", "Sold or paid since the start."),
        MetricFamily("kontor_ledger_refunded", "Given back by refunds since the start."),
        MetricFamily("kontor_ledger_balance", "Change of the sum of all balances since the start."),
        MetricFamily("kontor_ledger_held", "Change of what open checkouts hold, since the start."),
        MetricFamily(
            "kontor_conservation_error", "Put in - withdrawn - captured + refunded - balance; anything but 0 is a bug."),
        MetricFamily("kontor_contended_commands", "Commands that met an amount held by undecided checkouts."),
        MetricFamily("kontor_waiters", "Commands that wait for a contended amount."),
    ]

    private static let store = [
        MetricFamily("kontor_journal_sync_seconds", "Syncs of the journal: how long the disk took."),
        MetricFamily("kontor_journal_records", "Records written to the journal."),
        MetricFamily("kontor_journal_bytes", "Bytes written to the journal."),
        MetricFamily("kontor_fold_slice_seconds", "Slices of the journal that were moved to the table."),
        MetricFamily("kontor_fold_records", "Records moved from the journal to the table."),
        MetricFamily("kontor_fold_bytes", "Bytes of the journal that were moved to the table."),
        MetricFamily("kontor_checkpoint_seconds", "Checkpoints of the table."),
        MetricFamily("kontor_unfolded_bytes", "Journal that is not in the table yet: what a restart replays."),
        MetricFamily("kontor_unsynced_records", "Records that are committed and not yet durable."),
        MetricFamily("kontor_resident_records", "Records in memory, other than open work."),
        MetricFamily("kontor_cache_misses", "Records that were read from the table."),
        MetricFamily("kontor_admission_closed", "1 while new work is refused for this reason, else 0."),
        MetricFamily("kontor_store_shard_unused", "1 while a shard of the store is not used, by its address, else 0."),
        MetricFamily("kontor_unreadable_records", "Records that were met in the last minute and cannot be read."),
        MetricFamily("kontor_kept_keys", "Idempotency keys that are kept, until they expire."),
        MetricFamily("kontor_open_work_records", "Records of open checkouts and refunds: of orders, and on items and users."),
    ]

    private static let recovery = [
        MetricFamily(
            "kontor_clock_skew_seconds",
            "By how much the clock of a service's process is ahead of this one's, of all of them the furthest."),
        MetricFamily("kontor_recovered_sagas", "Open checkouts that the start found and took up."),
        MetricFamily("kontor_recovered_orphans", "Holds and markers of finished checkouts that the start settled."),
    ]
}
