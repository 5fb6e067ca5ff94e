// Memory for large tables that are read at random. On huge pages a look-up costs one cache miss instead of two or more.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

extension UnsafeMutablePointer {
    /// Allocates uninitialized memory, on huge pages if it is large and the system has some. Freed with
    /// ``deallocateTable()``.
    static func allocateTable(capacity: Int) -> UnsafeMutablePointer<Pointee> {
        let bytes = capacity * MemoryLayout<Pointee>.stride
        let isLarge = bytes >= hugePageBytes
        var memory: UnsafeMutableRawPointer?
        let code = posix_memalign(&memory, isLarge ? hugePageBytes : MemoryLayout<Pointee>.alignment.roundedForAlign, bytes)
        guard code == 0, let memory else { preconditionFailure("There is no memory left for the table of records.") }
        // Advice only: without huge pages everything works, but slower.
        if isLarge { madvise(memory, bytes, MADV_HUGEPAGE) }
        return memory.bindMemory(to: Pointee.self, capacity: capacity)
    }

    /// Frees what ``allocateTable(capacity:)`` returned.
    func deallocateTable() { free(self) }
}

private let hugePageBytes = 2 << 20

extension Int {
    /// `posix_memalign` wants at least a pointer's alignment.
    fileprivate var roundedForAlign: Int { Swift.max(self, MemoryLayout<UnsafeRawPointer>.alignment) }
}
