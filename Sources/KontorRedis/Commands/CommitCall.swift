// One call of the commit script: its keys and arguments, encoded as they are found.

import KontorCore
import KontorService

/// Changes of groups, in the form that ``CommitScript`` takes.
struct CommitCall {
    private var groups = 0
    private var heads = RedisArguments()
    private var newMembers = RedisArguments()
    private var otherKeys = RedisArguments()
    private var arguments = RedisArguments()

    /// - Parameters:
    ///   - version: that the group will have.
    ///   - now: wall clock, in milliseconds; for what expires.
    mutating func add(_ change: GroupChange, _ partition: Int, _ version: Version, now: Int64) {
        let head = RedisKeys.head(change.group, partition)
        var changedHead: Record??
        var others: [(key: String, member: Member, record: Record?)] = []
        var news: [(key: String, member: Member, record: Record?)] = []
        change.draft.forEachChange { member, record in
            if member == .head { return changedHead = .some(record) }
            let key = RedisKeys.member(member, ofHead: head)
            if change.absent.contains(member) {
                news.append((key, member, record))
            } else {
                others.append((key, member, record))
            }
        }
        let hasOpenWork = (news + others).contains { $0.member.isOpenWork }
        groups += 1
        heads.append(head)
        for member in news { newMembers.append(member.key) }
        if hasOpenWork { otherKeys.append(RedisKeys.open(change.group.kind, partition)) }
        for member in others { otherKeys.append(member.key) }

        arguments.append(RecordBytes.bytes(change.expected))
        let (mode, value) = mode(of: change, head: changedHead, version)
        arguments.append(hasOpenWork ? mode + "x" : mode)
        arguments.append(value)
        arguments.append(news.count)
        arguments.append(others.count)
        for member in news + others {
            arguments.append(how(member.member, member.record, now: now))
            arguments.append(member.record.map(RecordBytes.bytes) ?? [])
        }
    }

    /// What is written where the group's head is.
    private func mode(of change: GroupChange, head: Record??, _ version: Version) -> (mode: String, value: [UInt8]) {
        let bytes = RecordBytes.bytes(version)
        switch head {
        case .some(.some(let record)): return ("h", bytes + RecordBytes.bytes(record))
        case .some(.none): return ("e", bytes)
        case .none:
            let isHeadless = change.draft.contains(.head) && change.draft[.head] == nil
            return (isHeadless ? "e" : "v", bytes)
        }
    }

    /// What happens to a member's record, in the script's letters.
    private func how(_ member: Member, _ record: Record?, now: Int64) -> String {
        let open = !member.isOpenWork ? "." : record?.isLock == true ? "+" : "-"
        guard let record else { return "d" + open }
        guard let end = record.removableFrom else { return "s" + open }
        return "s\(open)\(max(1, end - now))"
    }

    /// - Parameters:
    ///   - key: where the epoch is.
    ///   - isLoaded: whether the server has the script.
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
