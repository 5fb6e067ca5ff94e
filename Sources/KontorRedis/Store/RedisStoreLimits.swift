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
    /// How long the replication barrier pauses before it tries again. Answers wait meanwhile.
    static let barrierRetryMilliseconds: Int64 = 20
    /// How often the memory of the servers is looked at: in a second at full speed Redis grows by some megabytes.
    static let memoryLookMilliseconds: Int64 = 1_000
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
