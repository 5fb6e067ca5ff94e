// Bounds that must be larger or smaller than others, with the reason. What can be computed from another bound is, where
// it is declared. Bounds outside Swift are in DeploymentBoundsTests.

import KontorHTTP
import KontorService
import Testing

@testable import KontorBench
@testable import KontorCore
@testable import KontorEmbedded
@testable import KontorLink
@testable import KontorRedis
@testable import RedisClient
@testable import kontor

@Suite struct BoundsTests {
    @Test func `amounts are added without overflow`() {
        #expect(Limits.balance <= Int64.max / 2, "two balances are added before their sum is compared")
        #expect(Limits.lifetimeTotal <= Int64.max - Limits.balance, "a total grows by up to a balance")
        #expect(Limits.lifetimeTotal / Limits.balance >= 100_000, "totals outlast many balances")
        #expect(Limits.unitsPerRequest <= Limits.balance, "what one request names fits into an account")
        #expect(Limits.moneyHundredths <= Limits.balance, "what one request names fits into an account")
    }

    @Test func `refunds fit into what they rest on`() {
        #expect(Limits.refundedTotal <= Int64.max - Limits.balance, "a total grows by up to a balance")
        #expect(Limits.refundedTotal >= 2 * Limits.lifetimeTotal, "what was captured is what was put in and what was refunded")
        #expect(Limits.orderRefunds <= Int(UInt16.max), "an order counts its refunds")
        #expect(
            2 * Limits.orderRefunds + 1 <= Limits.engineBatchCommands, "a list of them reads no more than a batch of commands")
        #expect(
            Limits.creditMilliseconds >= 2 * (Limits.longestResendMilliseconds * 5 / 4),
            "a credit has not expired when the next copy of it is sent")
        #expect(Limits.openRefundLegs >= 50 * (Limits.orderLines + 1), "some of the largest baskets are refunded at a time")
        #expect(Limits.pendingReplies >= Limits.drivenLegs + Limits.drivenRefundLegs, "a reply to each leg is waited for")
        #expect(Limits.mailboxCommands >= Limits.openLegs + Limits.openRefundLegs, "one command of each open leg fits")
        #expect(Limits.watchedSagas >= 5 * Limits.openRefunds, "refunds have room among the sagas that are watched")
    }

    @Test func `a request ends in order: waiting, refusal, deadline`() {
        #expect(
            Limits.deadlineMilliseconds <= Limits.longestDeadlineMilliseconds, "the default is one that a client may choose")
        #expect(Limits.tickMilliseconds < Limits.deadlineMarginMilliseconds, "a saga is looked at within its margin")
        #expect(
            HTTPLimits.sweepMilliseconds < Limits.deadlineMarginMilliseconds,
            "a refusal leaves before its deadline is looked at")
        #expect(
            Limits.waiterRetryMilliseconds < Limits.deadlineMarginMilliseconds, "a waiter has one more try before it is refused"
        )
        #expect(
            Limits.deadlineMarginMilliseconds <= Limits.deadlineMilliseconds / 10, "nearly all of a deadline is for waiting")
        #expect(Limits.tickMilliseconds <= Limits.resendMilliseconds / 10, "messages are resent about when they should")
    }

    @Test func `a dead process's checkout ends before its client gives up`() {
        let longest =
            Limits.takeoverAgeMilliseconds + Limits.takeoverJitterMilliseconds + Limits.takeoverScanMilliseconds
            + Limits.resendMilliseconds
        #expect(longest < Limits.deadlineMilliseconds, "who asks again within the deadline learns the outcome")
        #expect(Limits.takeoverAgeMilliseconds > 2 * Limits.resendMilliseconds, "one lost message is no death")
        #expect(
            Limits.takeoverJitterMilliseconds < Limits.takeoverAgeMilliseconds,
            "chance spreads takeovers, and does not delay them much")
        #expect(
            longest + Limits.abandonedSagaMilliseconds <= Limits.deadlineMilliseconds + Limits.resendMilliseconds,
            "also if it waits for amounts that others hold")
        #expect(
            Limits.pendingReplyMilliseconds > 2 * (Limits.longestResendMilliseconds * 5 / 4),
            "a reply is waited for as long as its saga asks again, jitter and one lost copy included")
        #expect(
            Limits.waiterLeaseMilliseconds > 2 * (Limits.longestResendMilliseconds * 5 / 4),
            "a waiter keeps its place while its saga asks again, one lost copy included")
        #expect(
            Limits.sagaLookMilliseconds < Limits.deadlineMarginMilliseconds / 2, "a saga gives up well within its margin")
        #expect(Limits.orphanScanMilliseconds < Limits.clockSkewMilliseconds, "markers go about when they may")
    }

    @Test func `keys outlast what repeats under them`() {
        #expect(
            Limits.lateWriteMilliseconds >= Limits.longestDeadlineMilliseconds + Limits.clockSkewMilliseconds,
            "a write that comes in time is decided, whatever the clocks say")
        #expect(
            Limits.keyRetentionMilliseconds > Limits.lateWriteMilliseconds + Limits.clockSkewMilliseconds,
            "a client's key stands for the gateway's request")
        #expect(EmbeddedLimits.expireMilliseconds < Limits.lateWriteMilliseconds, "expired keys do not pile up")
        #expect(
            Limits.batchInitLeaseMilliseconds > 2 * Limits.longestDeadlineMilliseconds / 5,
            "a slice that meets a slow store ends within half of its lease")
    }

    @Test func `work in progress fits into what holds it`() {
        let requests = Limits.requestsInFlight + Limits.readsReserve
        #expect(requests < HTTPLimits.connections, "the shop refuses before the listener does, and with a better answer")
        #expect(
            requests < Limits.openSagas,
            "requests in flight are the bound in common overload; open sagas are what a slow ledger leaves")
        #expect(
            Limits.waiters >= Limits.openSagas + requests,
            "each open saga waits for one lock at a time, and each other request for one")
        #expect(Limits.unfinishedRequests > Limits.requestsInFlight, "a deadline's end of all requests has room")
        #expect(Limits.openLegs >= 520 * (Limits.orderLines + 1), "some hundred of the largest baskets are open at a time")
        #expect(Limits.mailboxCommands >= Limits.openLegs, "one command of each open leg fits")
        #expect(Limits.pendingReplies >= Limits.drivenLegs + requests, "a reply to each leg is waited for, and to each read")
        #expect(
            Limits.pendingReplies + PendingReplies.restingSlots <= PendingReplies.mostSlots, "each reply has a number")
        #expect(Limits.drivenSagas >= 2 * Limits.openSagas, "what a dead process left is driven besides one's own")
        #expect(Limits.waiters >= Limits.drivenSagas + requests, "each of them waits for one lock at a time")
        #expect(
            Limits.mailboxCommandsWithCopies >= 2 * Limits.engineBatchCommands,
            "copies are looked for only when an engine is behind")
        #expect(Limits.rememberedGroups >= 2 * Limits.openSagas, "all open orders are remembered, and as many accounts")
        #expect(Limits.requestsPerTurn <= Limits.engineBatchCommands, "what one turn takes is decided in one batch")
        #expect(Limits.batchInitSlice <= Limits.engineBatchCommands, "a slice delays others by no more than a batch")
        #expect(
            Limits.unsyncedRecords >= Limits.requestsPerTurn * (Limits.orderLines + 2), "a turn of the largest checkouts fits")
        #expect(Limits.unsyncedRecords >= Limits.batchInitSlice * Limits.batchInitsAtOnce, "each batch_init may write a slice")
        #expect(RedisClientLimits.heldRequests >= 2 * Limits.openSagas, "a connection takes what all open sagas ask at a time")
    }

    @Test func `frames take the messages that they are for`() {
        #expect(Limits.fullFrameBytes >= Limits.messageBytes, "the largest message is no frame beyond measure")
        #expect(Limits.historyBytes < Limits.messageBytes / 4, "an order's history leaves room for the order")
        #expect(LinkLimits.unsentHighBytes >= Limits.frameBytes, "one frame alone does not stop the reading")
        #expect(LinkLimits.unsentLowBytes < LinkLimits.unsentHighBytes, "reading goes on before all is sent")
        #expect(
            LinkLimits.unsentBytes >= 8 * LinkLimits.unsentHighBytes,
            "replies to what was read before do not close the connection")
        #expect(LinkLimits.receiveBytes < LinkLimits.largestReceiveBytes, "the size of reads can adapt")
        #expect(RedisClientLimits.replyBytes >= 4 * Limits.messageBytes, "the largest record, as text, is read")
        #expect(RedisClientLimits.heldBytes >= RedisClientLimits.replyBytes, "what can be read can be written")
        #expect(RedisStoreLimits.scanPage <= RedisClientLimits.replyElements, "a page is one reply")
    }

    @Test func `a link tells the dead from the slow`() {
        #expect(LinkLimits.tickMilliseconds <= LinkLimits.pingMilliseconds / 5, "pings are sent about when they should")
        #expect(LinkLimits.pingMilliseconds <= LinkLimits.pongMilliseconds, "a server may miss no ping that is due meanwhile")
        #expect(
            LinkLimits.pongMilliseconds + LinkLimits.pingMilliseconds < Limits.takeoverAgeMilliseconds
                + Limits.resendMilliseconds,
            "a saga is sent elsewhere before it would be taken over and sent there too")
        #expect(LinkLimits.silentClientMilliseconds > 2 * LinkLimits.idlePingMilliseconds, "one lost ping does not end a link")
        #expect(
            LinkLimits.serverTickMilliseconds < LinkLimits.silentClientMilliseconds / 10, "silence is seen about when it should"
        )
        #expect(
            LinkLimits.longestBackoffMilliseconds < Limits.deadlineMilliseconds / 2,
            "a replica that is back serves who waits already")
        #expect(LinkLimits.backoffMilliseconds < LinkLimits.longestBackoffMilliseconds, "pauses grow")
        #expect(LinkLimits.replicas < LinkLimits.serverConnections, "all replicas of all services can have links to one")
        #expect(
            LinkLimits.firstBytesMilliseconds <= HTTPLimits.headMilliseconds,
            "a connection that says nothing is kept no longer than one that says something")
        #expect(LinkLimits.greetingBytes <= HTTPLimits.headerBytes, "a greeting is no longer than any other head")
    }

    @Test func `what HTTP reads fits into what reads it`() {
        #expect(3 * 3 * Limits.identifierBytes + 64 < HTTPLimits.pathBytes, "three identifiers, percent-encoded, are a path")
        #expect(HTTPLimits.pathBytes < HTTPLimits.headerBytes, "the request line is the smaller part of a head")
        #expect(Limits.idempotencyKeyBytes < HTTPLimits.headerBytes / 4, "a key leaves room for other headers")
        #expect(
            HTTPLimits.heldRequests >= HTTPLimits.pipelinedRequests
                + Int(HTTPLimits.readsPerTurn) * HTTPLimits.receiveBytes / 18,
            "one read full of the shortest requests, of 18 bytes, is held")
        #expect(HTTPLimits.unsentLowBytes < HTTPLimits.unsentHighBytes, "a client can read again")
        #expect(HTTPLimits.halfSentRequests + HTTPLimits.unreadConnections < HTTPLimits.connections / 4, "most may be well")
        #expect(
            HTTPLimits.sweepMilliseconds < HTTPLimits.evictableMilliseconds / 10,
            "a connection's rest is measured by sweeps")
        #expect(HTTPLimits.pipelinedRequests < HTTPLimits.heldRequests, "reading stops long before requests are refused")
        #expect(
            HTTPLimits.lingerMilliseconds < HTTPLimits.idleMilliseconds, "a refused client is kept shorter than an idle one")
        #expect(
            HTTPLimits.headMilliseconds < HTTPLimits.idleMilliseconds,
            "a slow head is refused before the connection counts as idle")
    }

    @Test func `what a process keeps besides its cache fits into the memory that the manifests give`() {
        let container = MemoryBounds(room: 512 << 20, openFiles: HTTPLimits.connections)
        #expect(container.connections < HTTPLimits.connections && container.connections >= ServerLimits.fewestConnections)
        #expect(container.connectionBytes + container.workBytes < 320 << 20, "of 512 MiB, at worst")
        #expect(MemoryBounds(room: 16 << 30, openFiles: 700).connections == 700, "open files are a bound, too")
        #expect(MemoryBounds(room: 16 << 30, openFiles: HTTPLimits.connections).connections == HTTPLimits.connections)
    }

    @Test func `a server's end leaves time for what has begun`() {
        #expect(ServerLimits.drainMilliseconds > Limits.longestDeadlineMilliseconds, "each request in flight is answered")
        #expect(
            10 * HTTPLimits.shutdownPatienceMilliseconds <= ServerLimits.drainMilliseconds,
            "a client that does not read, or sent half a request, does not hold up the end")
        #expect(
            ServerLimits.serviceStopMilliseconds > ServerLimits.drainMilliseconds + LinkLimits.openMilliseconds,
            "connections are given back after the drain, which took all of its time")
        let folding = Int64(EmbeddedLimits.urgentFoldBytes / EmbeddedLimits.replayBytesPerMillisecond)
        #expect(
            ServerLimits.stopMilliseconds > ServerLimits.drainMilliseconds + 10 * folding,
            "the journal that is usually left is folded after the drain; with more a start goes on")
    }

    @Test func `Redis is given up in time for another try`() {
        #expect(
            Int64(RedisStoreLimits.replicasMilliseconds) < RedisClientLimits.commandMilliseconds,
            "WAIT ends before its connection counts as dead")
        #expect(RedisStoreLimits.patienceMilliseconds > 2 * Limits.resendMilliseconds, "a call outlasts a lost message")
        #expect(
            RedisStoreLimits.patienceMilliseconds < Limits.deadlineMilliseconds / 2,
            "a call that found no master can be repeated")
        #expect(RedisClientLimits.commandMilliseconds < Limits.deadlineMilliseconds / 2, "so can one whose node was stopped")
        #expect(
            RedisClientLimits.connectMilliseconds < RedisStoreLimits.patienceMilliseconds,
            "one dead node does not use up a call")
        #expect(RedisClientLimits.backoffBaseMilliseconds < RedisClientLimits.backoffCapMilliseconds, "pauses grow")
        #expect(
            RedisClientLimits.backoffCapMilliseconds < RedisStoreLimits.patienceMilliseconds / 5, "a call has several tries")
        #expect(RedisClientLimits.refreshMilliseconds < RedisClientLimits.refreshCapMilliseconds, "pauses grow")
        #expect(
            RedisClientLimits.refreshCapMilliseconds < RedisStoreLimits.patienceMilliseconds,
            "a call sees a new map of the slots")
        #expect(
            RedisClientLimits.searchCapMilliseconds < RedisStoreLimits.patienceMilliseconds,
            "a call sees a new map of the slots also after searches that found nothing")
        #expect(
            RedisStoreLimits.lookPatienceMilliseconds > Int64(RedisStoreLimits.replicasMilliseconds),
            "a look outlasts its WAIT")
        #expect(
            RedisStoreLimits.troubledLookMilliseconds < RedisStoreLimits.lookMilliseconds,
            "what is in trouble is looked at more often")
        #expect(
            RedisStoreLimits.inspectionMilliseconds > RedisClientLimits.commandMilliseconds,
            "one node that is slow at a start is asked again")
    }

    @Test func `the embedded store keeps its pieces in proportion`() {
        #expect(EmbeddedLimits.lastFrameBytes < EmbeddedLimits.segmentBytes, "a segment has room for more than its last frame")
        #expect(EmbeddedLimits.frameBytes <= EmbeddedLimits.foldSliceBytes, "a slice takes whole frames")
        #expect(EmbeddedLimits.frameBytes >= 8 * Limits.messageBytes, "a frame takes many of the largest orders")
        #expect(EmbeddedLimits.foldStartBytes < EmbeddedLimits.urgentFoldBytes, "the fold works before it is urgent")
        #expect(EmbeddedLimits.urgentFoldBytes < EmbeddedLimits.unfoldedBytes, "it is urgent before work is refused")
        #expect(
            EmbeddedLimits.urgentFoldBytes / EmbeddedLimits.replayBytesPerMillisecond <= 1_600,
            "a start replays that much in about 1.5 s")
        #expect(
            EmbeddedLimits.expireMilliseconds < EmbeddedLimits.expireRetryMilliseconds,
            "a removal that failed is tried less often")
        #expect(
            EmbeddedLimits.slowSyncMilliseconds <= Limits.deadlineMarginMilliseconds,
            "a sync is called slow before it makes refusals late")
        #expect(
            Int64(EmbeddedLimits.busyMilliseconds) < EmbeddedLimits.idleMilliseconds,
            "a checkpoint gives up before the next is due")
        #expect(
            EmbeddedLimits.backupFrameBytes >= 4 * Limits.messageBytes,
            "a backup's frame takes several of the largest orders"
        )
    }

    @Test func `operators are told about as often as things change`() {
        #expect(
            Limits.refusalQuietMilliseconds < Limits.refusalReminderMilliseconds,
            "a period of refusals can end between two reminders")
        #expect(Limits.gaugeMilliseconds < Limits.refusalQuietMilliseconds, "gauges are newer than the news")
        #expect(
            RedisStoreLimits.lookMilliseconds <= Limits.refusalQuietMilliseconds,
            "full and free are told apart within one period")
    }

    @Test func `the load generator waits longer than the shop`() {
        let deadline = Limits.deadlineMilliseconds * 1_000_000
        #expect(Generator.answerPatienceNanoseconds > deadline + 1_000_000_000, "it hears every answer, the late ones too")
        let longest = (Generator.answerPatienceNanoseconds + Generator.sendPatienceNanoseconds) / 1_000
        #expect(Int64(Recorder.longestMicroseconds) > longest, "it can tell the longest latency from others")
        #expect(
            Int64(BenchBooks.patienceSeconds * 1_000) > 2 * Limits.deadlineMilliseconds,
            "checkouts that it left open end before it adds up")
    }
}
