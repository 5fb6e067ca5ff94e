// The choice of an account's replica: the one that scores highest with the account. All clients choose the same one;
// when a replica goes, only its own accounts move. (Thaler and Ravishankar, "A Name-Based Mapping Scheme for
// Rendezvous", 1996.)

import KontorCore

enum Rendezvous {
    /// FNV-1a, 64 bits: the same in every process and release.
    static func hash(_ bytes: some Sequence<UInt8>) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return hash
    }

    static func hash(_ group: GroupKey) -> UInt64 { hash(group.id.text.utf8) &+ UInt64(group.kind.rawValue) }

    /// The score of a group at a replica: both hashes, mixed by the finalizer of SplitMix64.
    static func score(_ group: UInt64, _ replica: UInt64) -> UInt64 {
        var mixed = group ^ (replica &* 0x9E37_79B9_7F4A_7C15)
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
