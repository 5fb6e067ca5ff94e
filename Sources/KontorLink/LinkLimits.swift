// Every bound of the links between services, with its unit and its reason (P7). Past one of them a message or a connection is lost,
// which sagas are made for: they send again.

import KontorCore
import NIOCore

/// The named bounds of links. Durations are milliseconds, sizes are bytes, unless the name says otherwise.
public enum LinkLimits {
    // MARK: Connections

    /// What one read takes: at least some messages, at most most frames of a busy turn.
    static let receiveBytes = 2 << 10
    static let largestReceiveBytes = 64 << 10
    static var receiveAllocator: AdaptiveRecvByteBufferAllocator {
        AdaptiveRecvByteBufferAllocator(minimum: receiveBytes, initial: receiveBytes, maximum: largestReceiveBytes)
    }
    /// Longest request or answer that opens a link: its header lines, with long secrets and the lines that a proxy adds.
    static let greetingBytes = 8 << 10
    /// How long a connection may take to be made, and then to be opened as a link.
    static let openMilliseconds: Int64 = 1_000
    /// How long a connection may take until its first bytes tell what it is: long enough for a browser that connects ahead of need.
    static let firstBytesMilliseconds: Int64 = 10_000
    /// Links and undecided connections of one listener: a hundred processes, ten times over.
    static let serverConnections = 1_000
    /// What may be written and not taken by the other side before no more is read from it (a server).
    static let unsentHighBytes = 1 << 20
    static let unsentLowBytes = 256 << 10
    static var waterMark: ChannelOptions.Types.WriteBufferWaterMark { .init(low: unsentLowBytes, high: unsentHighBytes) }
    /// What may be written and not taken by the other side at all: replies to all that was read before. Past it a server closes
    /// the connection, and a client drops messages.
    static let unsentBytes = 16 << 20

    // MARK: Replies

    /// How long a reply is waited for: the longest deadline of a message, and the skew of the clocks that it is measured with.
    /// Whoever waits for longer has sent the message again many times.
    static let pendingMilliseconds = Limits.longestDeadlineMilliseconds + Limits.clockSkewMilliseconds

    // MARK: Whether the other side lives

    /// How often a client looks at its connections: fine enough for the bounds below.
    static let tickMilliseconds: Int64 = 100
    /// How often it pings while it waits for something: as often as sagas send again.
    static let pingMilliseconds = Limits.resendMilliseconds
    /// How often it pings while it waits for nothing: middleboxes forget connections that are silent for longer.
    static let idlePingMilliseconds: Int64 = 5_000
    /// A server that says nothing for so long after a ping is dead, paused or cut off: its sagas must not wait any longer.
    static let pongMilliseconds: Int64 = 1_000
    /// A client that missed so many pings is gone; what it had asked for it asks again, elsewhere.
    static let silentClientMilliseconds = 6 * idlePingMilliseconds
    /// How often a server looks for those.
    static let serverTickMilliseconds: Int64 = 1_000

    // MARK: Replicas

    /// How often names are resolved while nothing happens: a replica that was added gets its work within that time.
    static let resolveMilliseconds: Int64 = 5_000
    /// Replicas are tried again after a random time, up to this at first, and twice as much each time.
    static let backoffMilliseconds: Int64 = 50
    /// The longest of these times: a replica that is back is found within a second.
    static let longestBackoffMilliseconds: Int64 = 1_000
    /// Addresses that all names together may resolve to: as many connections for each client.
    static let replicas = 64

    // MARK: Logs

    /// A reason to refuse a link is logged this often: whoever is refused tries again all the time.
    static let refusalLogMilliseconds: Int64 = 10_000
}
