// Every bound of the Redis store, with its unit and its reason (P7). Those of the client are in RedisLimits.

/// Durations are milliseconds, unless the name says otherwise.
enum RedisStoreLimits {
    /// How long a call may look for its master: a failover with `cluster-node-timeout` 1000 takes about two seconds, and sagas ask again
    /// after half of one.
    static let patienceMilliseconds: Int64 = 1_500
    /// How long `WAIT` waits for the replicas: a hundred round trips. With fewer the commit is unknown, and settled.
    static let replicasMilliseconds = 500
    /// Between two tries to have what was read on all replicas: nothing leaves before that.
    static let fencePauseMilliseconds: Int64 = 20
    /// How often memory is looked at: in a second at full speed Redis grows by some megabytes.
    static let memoryLookMilliseconds: Int64 = 1_000
    /// Of `maxmemory`: what is above it is for work that has begun.
    static let usedMemoryPercent = 90
    /// Records of open work in one page.
    static let scanPage = 1_000
}
