// Every bound of the Redis store, with its unit and its reason. Those of the client are in RedisOptions.

import NIOCore

/// Durations are milliseconds, unless the name says otherwise.
enum RedisStoreLimits {
    /// How long a call may look for its master. A failover with `cluster-node-timeout` 1000 takes about two seconds,
    /// and sagas ask again after half of one.
    static let patienceMilliseconds: Int64 = 1_500
    /// How long `WAIT` waits for the replicas: a hundred round trips. If fewer replicas have replied then, the commit
    /// is unknown, and is settled.
    static let replicasMilliseconds = 500
    /// How often settings, role and memory of each master are looked at: for so long a server that was set up wrongly
    /// while it ran can be served from, and in that time at full speed Redis grows by some megabytes.
    static let lookMilliseconds: Int64 = 1_000
    /// How often a master that is in trouble is looked at: nobody uses it until then.
    static let troubledLookMilliseconds: Int64 = 200
    /// How long a look may take. Longer than a `WAIT`, and than a slow `fsync`.
    static let lookPatienceMilliseconds: Int64 = 1_000
    /// How many records that cannot be read are named: enough to see what is wrong with them.
    static let namedRecords = 100
    /// How long a record that could not be read is told of after it was met last.
    static let unreadableMilliseconds: Int64 = 60_000
    /// How many percent of `maxmemory` may be used before nothing new begins. The rest is for work that has begun.
    static let usedMemoryPercent = 90
    /// How long a question about a server's settings or its epoch may take. It is asked at a start, when a server may
    /// still load its data.
    static let inspectionMilliseconds: Int64 = 10_000
    /// How long one page of an audit may take: it reads beside the shop's own commands, and nobody waits for it.
    static let auditPageMilliseconds: Int64 = 30_000
    /// How many records of open work are in one page.
    static let scanPage = 1_000

    /// When a call that is made now gives up looking for its master.
    static var callDeadline: NIODeadline { .now() + .milliseconds(patienceMilliseconds) }
    /// When a question about settings or epoch that is asked now gives up.
    static var inspectionDeadline: NIODeadline { .now() + .milliseconds(inspectionMilliseconds) }
    /// When a page that is asked for now counts as lost.
    static var auditPageDeadline: NIODeadline { .now() + .milliseconds(auditPageMilliseconds) }
}
