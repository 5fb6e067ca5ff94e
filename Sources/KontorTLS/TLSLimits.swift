// Every bound of TLS, with its unit and its reason.

import NIOCore

/// The named bounds of TLS. Durations are milliseconds, sizes are bytes, unless the name says otherwise.
public enum TLSLimits {
    /// How long a handshake may take: as long as a request's head. A slow network needs two seconds.
    public static let handshakeMilliseconds: Int64 = 10_000
    /// How long a side that closes waits for the other one to say so, too: not at all. Both know by the protocol above
    /// where their messages end, and a connection that waits takes an open file beyond the bound on connections.
    static let closeMilliseconds: Int64 = 0
    /// Bytes that TLS adds to an idle connection at worst: 19 KiB as measured with 2,000 that had asked once, and the
    /// rest of the 32 KiB for what is decrypted, which large requests fill.
    public static let connectionBytes = 48 * 1024
    /// How often one reason for which handshakes fail is logged, for each listener.
    public static let failureLogMilliseconds: Int64 = 10_000
    /// The most characters of a certificate's names that a sentence repeats: the other side chooses them.
    static let namedCharacters = 200
    /// How long before the end of the certificate it is warned of: long enough for people who renew by hand.
    public static let warningSeconds: Int64 = 14 * 86_400
    /// How often that is repeated.
    public static let warningPauseSeconds: Int64 = 86_400
}
