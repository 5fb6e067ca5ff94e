// Which records leave memory when there are too many: those that the table has, and that nobody used for a while.

import KontorCore

/// The hand of a clock over the slots (second chance; Corbató, 1969): a record that was used since the hand last passed
/// stays for another round, any other leaves.
struct EvictionClock {
    private var hand = 0
    /// Slots seen since one could leave, or since something changed that may let one leave.
    private var fruitlessVisits = 0

    /// Looks again, although the last two rounds found nothing: records came in, or were folded.
    mutating func retry() { fruitlessVisits = 0 }

    /// Calls `forget` for slots that may leave. Looks at `EmbeddedLimits.evictionVisits` slots at most, so the bound
    /// may be kept only after several turns; and it is exceeded for as long as what is in memory is dirty or not
    /// folded.
    ///
    /// - Parameters:
    ///   - excess: how many records should leave.
    ///   - foldedThrough: the last frame that the table contains.
    mutating func sweep(_ slots: SlotTable, excess: Int, foldedThrough: UInt64, forget: (UInt32) -> Void) {
        guard fruitlessVisits < 2 * slots.indexEnd else { return }
        var excess = excess
        var visits = 0
        while visits < EmbeddedLimits.evictionVisits && excess > 0 {
            visits += 1
            hand = hand + 1 < slots.indexEnd ? hand + 1 : 0
            let index = UInt32(hand)
            if Self.mayLeave(slots.pointer(index), foldedThrough) {
                forget(index)
                excess -= 1
                fruitlessVisits = 0
            } else {
                fruitlessVisits += 1
            }
        }
    }

    /// Whether a record may leave. Takes its mark of use away.
    private static func mayLeave(_ slot: UnsafeMutablePointer<Slot>, _ foldedThrough: UInt64) -> Bool {
        if slot.pointee.isFree || slot.pointee.isDirty || slot.pointee.isLoading || slot.pointee.pins > 0 { return false }
        if slot.pointee.sequence > foldedThrough || slot.pointee.key.member.isOpenWork { return false }
        if slot.pointee.isUsed {
            slot.pointee.isUsed = false
            return false
        }
        return true
    }
}
