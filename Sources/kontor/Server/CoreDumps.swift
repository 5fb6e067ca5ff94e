// Images of memory that the system writes when a process crashes. Those of a shop have its secrets and its callers'
// tokens.

import Foundation

enum CoreDumps {
    /// Forbids them for this process and for good. A program that the system pipes them to (`kernel.core_pattern`) gets
    /// them nevertheless, and is told the limit; those of systemd and Ubuntu then keep nothing.
    static func forbid() {
        var none = rlimit(rlim_cur: 0, rlim_max: 0)
        setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none)
    }
}
