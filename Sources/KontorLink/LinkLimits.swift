// Every bound of the links between services, with its unit and its reason. Beyond a bound a message or a connection is
// lost; sagas repeat what is lost.

import KontorCore
import NIOCore

/// The named bounds of links. Durations are milliseconds, sizes are bytes, unless the name says otherwise.
public enum LinkLimits {
    // MARK: Connections

    /// The bytes that one read takes: at least some messages, at most the frames of most busy turns.
    static let receiveBytes = 2 << 10
    static let largestReceiveBytes = 64 << 10
    static var receiveAllocator: AdaptiveRecvByteBufferAllocator {
        AdaptiveRecvByteBufferAllocator(minimum: receiveBytes, initial: receiveBytes, maximum: largestReceiveBytes)
    }
    /// The longest request or answer of a handshake: its header lines, with long secrets and the lines that a proxy
    /// adds.
    static let greetingBytes = 8 << 10
    /// How long making a connection may take, and then the handshake.
    static let openMilliseconds: Int64 = 1_000
    /// How long a connection may take until its first bytes tell what it is: long enough for a browser that connects
    /// ahead of need.
    static let firstBytesMilliseconds: Int64 = 10_000
    /// Links and undecided connections of one listener: a hundred processes, ten times over.
    static let serverConnections = 1_000
    /// Unsent bytes at which a server stops reading from a client.
    static let unsentHighBytes = 1 << 20
    static let unsentLowBytes = 256 << 10
    static var waterMark: ChannelOptions.Types.WriteBufferWaterMark { .init(low: unsentLowBytes, high: unsentHighBytes) }
    /// Unsent bytes at which a server closes the connection, and a client drops requests: replies to what was read
    /// before the first bound still fit.
    static let unsentBytes = 16 << 20

    // MARK: Whether the other side lives

    /// How often a client checks its connections: fine enough for the bounds below.
    static let tickMilliseconds: Int64 = 100
    /// How often a client pings while it waits for replies: as often as sagas repeat messages.
    static let pingMilliseconds = Limits.resendMilliseconds
    /// How often a client pings while it waits for nothing: middleboxes forget connections that are silent for longer.
    static let idlePingMilliseconds: Int64 = 5_000
    /// How long a server may be silent after a ping: then it is dead, paused or cut off, and sagas must not wait for
    /// it.
    static let pongMilliseconds: Int64 = 1_000
    /// How long a client may be silent: then it is gone, and has repeated its requests elsewhere.
    static let silentClientMilliseconds = 6 * idlePingMilliseconds
    /// How often a server looks for silent clients, and whether they must be told that it fills up or has room again:
    /// a hundredth of its memory, with all clients writing, takes longer to fill.
    static let serverTickMilliseconds: Int64 = 500

    // MARK: Replicas

    /// How often names are resolved while nothing happens: a new replica gets work within that time.
    static let resolveMilliseconds: Int64 = 5_000
    /// The longest random time before a first new attempt to connect; it doubles with each attempt.
    static let backoffMilliseconds: Int64 = 50
    /// The longest of these times: a replica that is back is found within a second.
    static let longestBackoffMilliseconds: Int64 = 1_000
    /// Addresses that all names together may resolve to: as many connections for each client.
    static let replicas = 64

    // MARK: Logs

    /// How often one reason to refuse a link is logged: a client that is refused keeps trying.
    static let refusalLogMilliseconds: Int64 = 10_000
}
