// The times and sizes in the gateway's, compose's, Kubernetes' and the container's files against the bounds of the
// code, and against each other. `scripts/derive-times` writes those that are computed; here is why they must be so.

import KontorCore
import KontorHTTP
import Testing

@testable import KontorEmbedded
@testable import KontorRedis
@testable import kontor

@Suite struct DeploymentBoundsTests {
    // MARK: The end

    @Test(arguments: [
        ("docker-compose.yml", "x-service:", "stop_grace_period"),
        ("k8s/base/service-patch.yaml", "spec:", "terminationGracePeriodSeconds"),
        ("deploy/local/local_shop.py", "", "PATIENCE_SECONDS"),
    ])
    func `a service ends by itself before it is killed`(path: String, block: String, key: String) throws {
        let grace = try Settings(path, block).milliseconds(key)
        #expect(
            grace > ServerLimits.serviceStopMilliseconds, "it answers what is in flight, and says so in its log if it could not"
        )
    }

    @Test func `the gateway answers what is in flight before it is killed`() throws {
        let longest = try Gateway.patientMilliseconds() + 1_000
        let compose = try Settings("docker-compose.yml", "gateway:").milliseconds("stop_grace_period")
        #expect(compose > longest, "a request of the longest deadline, and a second until `run` looks")
        let pod = try Settings("k8s/base/gateway.yaml", "template:")
        let preStop = try pod.milliseconds("sleep")
        #expect(
            try pod.milliseconds("terminationGracePeriodSeconds") > preStop + longest,
            "preStop counts, and requests come until its end")
    }

    // MARK: The start

    @Test func `a start has the time that it may take`() throws {
        let service = ServerLimits.storeStartMilliseconds + RedisStoreLimits.inspectionMilliseconds
        let replay = Int64(EmbeddedLimits.unfoldedBytes / EmbeddedLimits.replayBytesPerMillisecond)
        let image = try Settings("Dockerfile").milliseconds("start-period")
        #expect(image > service, "a service waits for its Redis, and looks at its settings")
        #expect(image > 2 * replay, "the embedded store replays its journal, on a slow disk as well")
        let probe = try Settings("k8s/base/service-patch.yaml").line("startupProbe")
        #expect(try probe.milliseconds("periodSeconds") * probe.number("failureThreshold") > service, "the same in a pod")
        let health = try Settings("Dockerfile").milliseconds("timeout")
        #expect(health > Int64(Health.patienceSeconds) * 1_000, "kontor health says what is wrong before it is killed")
    }

    // MARK: The gateway

    @Test func `the gateway waits longer than any deadline that it passes on`() throws {
        #expect(try Gateway.patientMilliseconds() > Limits.longestDeadlineMilliseconds, "the service answers first")
        #expect(try Gateway.writeMilliseconds() > Limits.deadlineMilliseconds, "contended is said at the deadline (A9)")
        #expect(try Gateway.againMilliseconds() > Gateway.deadlineAgain(), "the second copy has a deadline of its own")
        #expect(try Gateway.deadlineAgain() > Limits.takeoverAgeMilliseconds + Limits.resendMilliseconds, "time for a takeover")
        #expect(try Gateway.singleMilliseconds() > Limits.deadlineMilliseconds, "a read, too, where there is nobody else")
    }

    @Test func `with replicas the gateway asks another one for a read in time`() throws {
        #expect(2 * (try Gateway.replicaMilliseconds()) <= Limits.deadlineMilliseconds + 500, "both take about one deadline")
    }

    @Test func `the gateway knows which clients are patient`() throws {
        let block = try Settings("deploy/gateway/gateway_nginx.conf", "map $http_request_timeout_ms")
        let pattern = try #require(block.lines.first { $0.contains("~^") }?.split(separator: "\"").dropFirst().first)
        let usual = try Regex(String(pattern.dropFirst()))
        for milliseconds in [1, 250, Limits.deadlineMilliseconds - 1, Limits.deadlineMilliseconds] {
            #expect("\(milliseconds)".contains(usual), "\(milliseconds) ms are no more than the usual deadline")
            #expect("000\(milliseconds)".contains(usual), "zeros before it change nothing")
        }
        for milliseconds in [
            Limits.deadlineMilliseconds + 1, 2 * Limits.deadlineMilliseconds, Limits.longestDeadlineMilliseconds,
        ] {
            #expect(!"\(milliseconds)".contains(usual), "\(milliseconds) ms are more than the usual deadline")
        }
    }

    @Test func `all copies of a write are sent before a service finds them late`() throws {
        let main = try Settings("deploy/gateway/gateway_nginx.conf")
        let connect = try main.milliseconds("proxy_connect_timeout")
        let tries = try main.number("proxy_next_upstream_tries")
        let longest = connect + (try Gateway.patientMilliseconds()) + tries * (connect + (try Gateway.againMilliseconds()))
        #expect(
            Limits.lateWriteMilliseconds - Limits.clockSkewMilliseconds > longest, "whatever the clocks of the two say")
        #expect(try main.milliseconds("worker_shutdown_timeout") > longest, "a worker ends with its requests (B17)")
        #expect(try main.milliseconds("worker_shutdown_timeout") <= 300_000, "and lives no longer behind a slow one")
    }

    @Test func `the gateway refuses what the services would refuse`() throws {
        let gateway = try Settings("deploy/gateway/gateway_nginx.conf")
        #expect(try gateway.bytes("client_max_body_size") == HTTPLimits.bodyBytes, "a body")
        #expect(try gateway.bytes("client_body_buffer_size") == HTTPLimits.bodyBytes, "a body is repeated from memory")
        #expect(try gateway.bytes("client_header_buffer_size") == HTTPLimits.pathBytes, "a path")
        #expect(try gateway.bytes("large_client_header_buffers 4") == HTTPLimits.headerBytes, "headers")
        #expect(try gateway.milliseconds("client_header_timeout") == HTTPLimits.headMilliseconds, "a slow head")
        #expect(try gateway.milliseconds("client_body_timeout") == HTTPLimits.bodyMilliseconds, "a slow body")
        #expect(try gateway.milliseconds("send_timeout") == HTTPLimits.unreadAnswerMilliseconds, "an answer that nobody reads")
        #expect(try gateway.number("backlog") == Int64(HTTPLimits.backlogConnections), "clients that connect at once")
        for bytes in [HTTPLimits.bodyBytes, HTTPLimits.pathBytes, HTTPLimits.headerBytes] {
            #expect(gateway.lines.contains { $0.contains(" \(bytes) bytes.") }, "its answers tell the bound of \(bytes)")
        }
        let ingress = try Settings("helm-config/nginx-helm-values.yaml")
        #expect(
            try ingress.bytes("proxy-body-size") == HTTPLimits.bodyBytes,
            "what stands before the gateway refuses no more and no less")
    }

    @Test func `an idle connection is closed by who would send on it`() throws {
        let configure = try Settings("deploy/gateway/configure")
        #expect(
            try configure.milliseconds("keepalive_timeout") < HTTPLimits.idleMilliseconds,
            "else the gateway sends into a closing one")
        let connections = try configure.number("connections")
        #expect(
            connections >= Int64(2 * (Limits.requestsInFlight + Limits.readsReserve)),
            "each request has two of the gateway's connections")
    }

    @Test func `nobody gives up a batch_init before the others`() throws {
        let batchInit = try Settings("deploy/gateway/service.conf", "location ~ ^/@NAME@/batch_init/").milliseconds(
            "proxy_read_timeout")
        #expect(batchInit > (try Gateway.patientMilliseconds()), "it takes as long as it takes")
        let ingress = try Settings("k8s/base/gateway.yaml").milliseconds("proxy-read-timeout")
        #expect(ingress >= batchInit, "the Ingress waits for the gateway")
    }

    // MARK: The rest

    /// `kubectl kustomize` puts the overlay's numbers over those of the base.
    @Test(arguments: [
        ("docker-compose.yml", "x-redis:"), ("docker-compose.cluster.yml", ""), ("k8s/base/redis-patch.yaml", ""),
        ("k8s/overlays/cluster/redis-patch.yaml", ""),
    ])
    func `a Redis has room for its data and a rewrite of its file`(path: String, block: String) throws {
        let settings = try Settings(path, block)
        let data = try #require(settings.lines.first { $0.contains("REDIS_MAXMEMORY") && $0.contains(/[0-9]m|[0-9]g/) })
        let maximum = try #require(data.firstMatch(of: /(\d+[mg])/)).1
        let limits = try #require(settings.lines.first { $0.contains("limits:") }).firstMatch(of: /memory: (\w+)/)
        let room = try Settings.bytes(String(#require(limits).1))
        #expect(2 * room >= 3 * (try Settings.bytes(String(maximum))), "a rewrite needs half as much again")
    }

    @Test func `a checkout is called stuck when it could have ended`() throws {
        let alert = try Settings("docs/alerts.yml").milliseconds("kontor_oldest_saga_seconds >")
        let recovery = Limits.takeoverAgeMilliseconds + Limits.takeoverJitterMilliseconds + Limits.takeoverScanMilliseconds
        #expect(alert > Limits.longestDeadlineMilliseconds + recovery, "the longest deadline, and then a takeover")
    }

    @Test(arguments: [
        ("Tests/kontor_testing/http_client.py", "PATIENCE_SECONDS"), ("Tests/kontor_testing/programs.py", "PATIENCE_SECONDS"),
        ("test/consistency/shop_client.py", "_PATIENCE_SECONDS"), ("test/microservices/shop.py", "PATIENCE_SECONDS"),
    ])
    func `tests wait for longer than the shop and the gateway may`(path: String, key: String) throws {
        let patience = try Settings(path).milliseconds(key)
        #expect(patience > ServerLimits.serviceStopMilliseconds, "a server that hangs ends by itself, with a reason in its log")
        #expect(patience > (try Gateway.patientMilliseconds()), "the gateway says that it knows nothing")
    }
}

/// How long the gateway waits for an answer of a service.
private enum Gateway {
    /// Of a client that gives more than the usual deadline.
    static func patientMilliseconds() throws -> Int64 {
        try Settings("deploy/gateway/service.conf", "location @@NAME@_patient_write").milliseconds("proxy_read_timeout")
    }
    /// Of the first copy of a write of any other client.
    static func writeMilliseconds() throws -> Int64 {
        try Settings("deploy/gateway/service.conf", "location @@NAME@_write {").milliseconds("proxy_read_timeout")
    }
    /// Of each copy after it.
    static func againMilliseconds() throws -> Int64 {
        try Settings("deploy/gateway/service.conf", "location @@NAME@_write_again").milliseconds("proxy_read_timeout")
    }
    /// The deadline that such a copy has at most.
    static func deadlineAgain() throws -> Int64 {
        try Settings("deploy/gateway/gateway_nginx.conf", "map $http_request_timeout_ms $time_again").number("default")
    }
    /// Of a read of any other client, where the service has one replica.
    static func singleMilliseconds() throws -> Int64 { try timeouts(count: 2)[0] }
    /// Of such a read, where it has several, and this is not the last that is asked.
    static func replicaMilliseconds() throws -> Int64 { try timeouts(count: 2)[1] }

    private static func timeouts(count: Int) throws -> [Int64] {
        let found = try Settings("deploy/gateway/configure").values("timeout").filter { $0.hasSuffix("ms") }
        try #require(found.count == count, "configure sets one for a single replica, and one for several")
        return try found.map(Settings.milliseconds)
    }
}
