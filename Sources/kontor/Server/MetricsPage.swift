// The page /metrics: everything that the shop counts, and what the system says about the process. It is computed on
// request, off the shop's thread; reading a counter stops nobody.

import Foundation
import KontorHTTP
import KontorMetrics

struct MetricsPage: Sendable {
    let registry: MetricsRegistry
    /// The store's directory; nil: the store is not on this machine.
    let directory: String?
    let version: String
    let isReady: @Sendable () -> Bool

    func page() -> OperatorPage {
        var page = Exposition()
        registry.write(into: &page)
        page.single(
            "kontor_build_info", .gauge, help: "Always 1; its label is the version.", labels: [("version", version)],
            value: 1)
        page.single(
            "kontor_ready", .gauge, help: "1 while requests can be served, else 0.", value: isReady() ? 1 : 0)
        if let bytes = directory.flatMap(Self.freeBytes) {
            page.single(
                "kontor_disk_free_bytes", .gauge, help: "Free bytes on the disk that the store is on.", value: bytes)
        }
        ProcessFigures.write(into: &page)
        return OperatorPage(contentType: Exposition.contentType, body: page.text)
    }

    private static func freeBytes(_ directory: String) -> Double? {
        var figures = statvfs()
        guard statvfs(directory, &figures) == 0 else { return nil }
        return Double(figures.f_bavail) * Double(figures.f_frsize)
    }
}

/// The figures of proc(5) about this process, under the names that all Prometheus clients use.
private enum ProcessFigures {
    static func write(into page: inout Exposition) {
        // The fields behind the command's name, which may contain anything: from the 3rd field of proc_pid_stat(5) on.
        guard let stat = text("/proc/self/stat")?.components(separatedBy: ") ").last?.split(separator: " "),
            stat.count > 21, let user = Double(stat[11]), let system = Double(stat[12]), let started = Double(stat[19]),
            let pages = Double(stat[21])
        else { return }
        let ticks = Double(sysconf(Int32(_SC_CLK_TCK)))
        page.single(
            "process_cpu_seconds_total", .counter, help: "Processor time, of the user and the system.",
            value: (user + system) / ticks)
        page.single(
            "process_resident_memory_bytes", .gauge, help: "Resident memory.",
            value: pages * Double(sysconf(Int32(_SC_PAGESIZE))))
        if let boot = bootSeconds() {
            page.single(
                "process_start_time_seconds", .gauge, help: "Start of the process, in seconds since 1970.",
                value: boot + started / ticks)
        }
        if let open = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count {
            page.single("process_open_fds", .gauge, help: "Open file descriptors.", value: Double(open))
        }
        var limit = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
            page.single(
                "process_max_fds", .gauge, help: "File descriptors that it may open.", value: Double(limit.rlim_cur))
        }
    }

    private static func bootSeconds() -> Double? {
        let line = text("/proc/stat")?.split(separator: "\n").first { $0.hasPrefix("btime ") }
        return line.flatMap { Double($0.dropFirst(6)) }
    }

    private static func text(_ path: String) -> String? { try? String(contentsOfFile: path, encoding: .utf8) }
}
