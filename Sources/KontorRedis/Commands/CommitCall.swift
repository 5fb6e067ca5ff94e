// One call of the commit script: its keys and arguments, encoded while the changes are looked through.

import KontorCore
import KontorService
import RedisClient

/// Changes of groups in the form that ``CommitScript`` takes.
struct CommitCall {
    private let format: RecordFormat
    private let trailMilliseconds: Int64
    private var groups = 0
    private var heads = RedisArguments()
    private var newMembers = RedisArguments()
    private var otherKeys = RedisArguments()
    private var arguments = RedisArguments()

    /// - Parameters:
    ///   - format: The format that records are written in.
    ///   - trailMilliseconds: How long entries of the audit trail are kept.
    init(_ format: RecordFormat, trailMilliseconds: Int64 = Limits.trailMilliseconds) {
        self.format = format
        self.trailMilliseconds = trailMilliseconds
    }

    /// Adds a change.
    ///
    /// - Parameters:
    ///   - partition: The partition of the group.
    ///   - version: The version that the group will have.
    ///   - now: The wall clock in milliseconds, for records that expire.
    mutating func add(_ change: GroupChange, _ partition: Int, _ version: Version, now: Int64) {
        let head = RedisKeys.head(change.group, partition)
        var changedHead: Record??
        var others: [(key: String, member: Member, record: Record?)] = []
        var news: [(key: String, member: Member, record: Record?)] = []
        change.draft.forEachChange { member, record in
            if member == .head { return changedHead = .some(record) }
            // Older processes would list nothing: the lists are made when the format is raised.
            if case .listed = member, format < .four { return }
            let key = RedisKeys.member(member, ofHead: head)
            if change.absent.contains(member) {
                news.append((key, member, record))
            } else {
                others.append((key, member, record))
            }
        }
        let hasOpenWork = (news + others).contains { $0.member.isOpenWork }
        let compared = change.absent.filter { !change.draft.isChanged($0) }.map { RedisKeys.member($0, ofHead: head) }
        groups += 1
        heads.append(head)
        for member in news { newMembers.append(member.key) }
        for key in compared { newMembers.append(key) }
        if hasOpenWork { otherKeys.append(RedisKeys.open(change.group.kind, partition)) }
        for member in others { otherKeys.append(member.key) }

        arguments.append(RecordBytes.bytes(change.expected))
        let (mode, value) = mode(of: change, head: changedHead, version)
        arguments.append(hasOpenWork ? mode + "x" : mode)
        arguments.append(value)
        arguments.append(news.count + compared.count)
        arguments.append(others.count)
        for member in news { append(member.member, member.record, of: change.group, now: now) }
        for _ in compared {
            arguments.append("n.")
            arguments.append([])
        }
        for member in others { append(member.member, member.record, of: change.group, now: now) }
    }

    private mutating func append(_ member: Member, _ record: Record?, of group: GroupKey, now: Int64) {
        if case .trail = member, let record {
            let oldest = TrailID(time: now - trailMilliseconds, number: .max)
            arguments.append(Array("t.".utf8) + IndexRange.trail(behind: oldest).start)
            return arguments.append(RecordBytes.trailEntry(RecordKey(group, member), record, format))
        }
        if member.isIndexed {
            let keys = RecordKey(group, member).indexKeys
            arguments.append(Array((record == nil ? "r." : "l.").utf8) + keys.dropFirst().joined())
            return arguments.append(keys[0])
        }
        arguments.append(how(member, record, now: now))
        arguments.append(record.map { RecordBytes.bytes($0, format) } ?? [])
    }

    /// How the group's head is written, in the script's letters, and the bytes that are written.
    ///
    /// - Parameter head: nil if the change leaves the head as it is.
    private func mode(of change: GroupChange, head: Record??, _ version: Version) -> (mode: String, value: [UInt8]) {
        let bytes = RecordBytes.bytes(version)
        switch head {
        case .some(.some(let record)): return ("h", bytes + RecordBytes.bytes(record, format))
        case .some(.none): return ("e", bytes)
        case .none:
            let isHeadless = change.draft.contains(.head) && change.draft[.head] == nil
            return (isHeadless ? "e" : "v", bytes)
        }
    }

    /// How a member's record is written, in the script's letters.
    private func how(_ member: Member, _ record: Record?, now: Int64) -> String {
        let open = !member.isOpenWork ? "." : record?.isLock == true ? "+" : "-"
        guard let record else { return "d" + open }
        guard let end = record.removableFrom else { return "s" + open }
        return "s\(open)\(max(1, end - now))"
    }

    /// The command that makes the call.
    ///
    /// - Parameters:
    ///   - key: The key of the epoch.
    ///   - isLoaded: Whether the server has the script. If not, its source goes along.
    func command(epoch: [UInt8], key: String, isLoaded: Bool) -> RedisCommand {
        let keys = 1 + heads.count + newMembers.count + otherKeys.count
        let bytes = [heads, newMembers, otherKeys, arguments].reduce(epoch.count + key.utf8.count + 128) { $0 + $1.byteCount }
        var command = RedisCommand(
            isLoaded ? "EVALSHA" : "EVAL", argumentCount: 2 + keys + 3 + arguments.count, capacity: bytes)
        command.append(isLoaded ? CommitScript.digest : CommitScript.source)
        command.append(keys)
        command.append(key)
        command.append(heads)
        command.append(newMembers)
        command.append(otherKeys)
        command.append(epoch)
        command.append(groups)
        command.append(1 + heads.count + newMembers.count)
        command.append(arguments)
        return command
    }
}
