// Which records leave memory: those that the table has, and that nobody used since the last look.

import KontorCore

extension EmbeddedStore {
    /// Records that memory holds, other than open work.
    public var residentRecords: Int { slots.count - openWork.count }

    /// Removes clean slots until the cache is within its bound: second chance, a clock's hand over the slots (Corbató, 1969).
    /// A turn looks at a bounded number; what is dirty or not folded stays, whatever the bound says.
    func evict() {
        guard residentRecords > options.cacheRecords, fruitlessVisits < 2 * slots.indexEnd else { return }
        var visits = 0
        while visits < EmbeddedLimits.evictionVisits && residentRecords > options.cacheRecords {
            visits += 1
            evictionHand = evictionHand + 1 < slots.indexEnd ? evictionHand + 1 : 0
            let index = UInt32(evictionHand)
            if isEvictable(slots.pointer(index)) {
                forget(index)
                fruitlessVisits = 0
            } else {
                fruitlessVisits += 1
            }
        }
    }

    private func isEvictable(_ slot: UnsafeMutablePointer<Slot>) -> Bool {
        if slot.pointee.isFree || slot.pointee.isDirty || slot.pointee.isLoading || slot.pointee.pins > 0 { return false }
        if slot.pointee.sequence > fold.foldedThrough || slot.pointee.key.member.isOpenWork { return false }
        if slot.pointee.isUsed {
            slot.pointee.isUsed = false
            return false
        }
        return true
    }

    private func forget(_ index: UInt32) {
        let slot = slots.pointer(index)
        if slot.pointee.record == nil && slot.pointee.version > absentVersion { absentVersion = nextVersion() }
        slots.remove(index)
    }
}
