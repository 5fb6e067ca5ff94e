// How much memory the process may use: what its control group allows, or a part of the machine's.

/// The memory that a process may use, and who says so.
public struct MemoryLimit: Hashable, Sendable {
    /// Who sets a limit.
    public enum Source: String, Sendable {
        /// A control group: past its limit the kernel kills the process.
        case controlGroup = "control group"
        /// The machine. Others use it too.
        case machine
    }

    /// The bytes that are for this process.
    public let bytes: Int
    public let source: Source

    /// The bytes that there are in all: the machine's memory, or what the group allows.
    public var wholeBytes: Int { source == .machine ? bytes * EmbeddedLimits.machineShare : bytes }

    public init(bytes: Int, source: Source) {
        self.bytes = bytes
        self.source = source
    }

    /// Reads the limit; nil if the system does not tell.
    ///
    /// - Parameter content: the text of a file; nil if it cannot be read.
    public static func read(_ content: (_ path: String) -> String?) -> MemoryLimit? {
        let machine = content("/proc/meminfo").flatMap(total).map {
            MemoryLimit(bytes: $0 / EmbeddedLimits.machineShare, source: .machine)
        }
        // What the group may use beyond the machine's memory it does not have.
        guard let group = groupBytes(content), machine.map({ group < $0.bytes * EmbeddedLimits.machineShare }) ?? true else {
            return machine
        }
        return MemoryLimit(bytes: group, source: .controlGroup)
    }

    /// The least limit of the process's control groups and of those that they lie in, of version 2 and 1.
    private static func groupBytes(_ content: (String) -> String?) -> Int? {
        var least: Int?
        for line in (content("/proc/self/cgroup") ?? "").split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            let (root, file): (String, String)
            if parts[1].isEmpty {
                (root, file) = ("/sys/fs/cgroup", "memory.max")
            } else if parts[1].split(separator: ",").contains("memory") {
                (root, file) = ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            } else {
                continue
            }
            // In a container the path may be that of the host, of which only the root can be seen.
            var group = String(parts[2])
            while true {
                let path = root + (group == "/" ? "" : group) + "/" + file
                if let text = content(path), let bytes = Int(text.prefix { $0.isNumber }) { least = min(least ?? .max, bytes) }
                if group.isEmpty || group == "/" { break }
                group = String(group.prefix(upTo: group.lastIndex(of: "/") ?? group.startIndex))
            }
        }
        return least
    }

    /// The machine's memory, from /proc/meminfo.
    private static func total(_ text: String) -> Int? {
        guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix("MemTotal:") }) else { return nil }
        return Int(line.filter(\.isNumber)).map { $0 << 10 }
    }
}
