// The memory of this process, as Linux tells it.

import Foundation
import KontorEmbedded

/// The memory that this process may use.
enum MachineMemory {
    /// Read once: it is said at the start, and holds until the end.
    static let limit = MemoryLimit.read { try? String(contentsOfFile: $0, encoding: .utf8) }
    /// All of the machine's memory, or what a control group allows; container runtimes kill who takes more.
    static let bytes = limit?.wholeBytes ?? Int(clamping: ProcessInfo.processInfo.physicalMemory)
}
