// The keys of records in Redis: they are readable, and their hash tags put a whole partition into one hash slot.

import KontorCore
import KontorService
import RedisClient

/// The keys of one store.
///
///     {tag}item:42                        version and account
///     {tag}item:42/hold/77/INCARNATION/2  the hold of order 77's second attempt
///     {tag}order:77/saga                  its running checkout
///     {tag}order:77/refund/77/INCARNATION/1   its first refund, while it is open; then under /refunded/
///     {tag}user:5/refund/77/INCARNATION/1     the marker of that refund's credit
///     {tag}open:order                     sorted set: the keys of the partition's open work of one kind
///     {tag}trail                          sorted set: the partition's entries of the audit trail
///     {tag}lists                          sorted set: the partition's entries of the lists, by each of their keys, and
///                                         when its reservations are over
///     {tag}listed                         says that the lists are complete; in partition 0 alone
///     {tag}epoch                          which shop this is
///     {tag}service                        which service's store this is; in partition 0 alone
///     {tag}secret                         from which ids are derived; in partition 0 alone
///     {tag}probe                          written and removed at a start, to see that all commands are permitted
///
/// The tag is that of the id's partition (``Partition``). So a group, the index of its open work and the epoch are in
/// one hash slot, and one script can write them together. The tags are chosen so that partitions are spread evenly over
/// the slots.
enum RedisKeys {
    /// The hash tag of each partition, in braces.
    static let tags: [String] = (0..<Partition.count).map { partition in
        let width = HashSlot.count / Partition.count
        var number = 0
        while HashSlot.of(Array("\(number)".utf8)) / width != partition { number += 1 }
        return "{\(number)}"
    }

    /// The hash slot of each partition.
    static let slots: [Int] = tags.map { HashSlot.of(Array($0.utf8)) }

    /// The key of a partition's copy of the epoch.
    static func epoch(_ partition: Int) -> String { tags[partition] + "epoch" }
    /// The key of the index of a partition's open work.
    static func open(_ kind: GroupKey.Kind, _ partition: Int) -> String { tags[partition] + "open:" + kind.name }
    /// The key of a partition's part of an index.
    static func index(_ index: IndexRange.Index, _ partition: Int) -> String { tags[partition] + name(index) }

    private static func name(_ index: IndexRange.Index) -> String {
        switch index {
        case .trail: "trail"
        case .lists: "lists"
        }
    }

    /// The key that says that the lists are complete.
    static let listed = tags[0] + "listed"
    /// The key of the name of the service that the store belongs to.
    static let service = tags[0] + "service"
    /// The key of the secret from which ids are derived.
    static let secret = tags[0] + "secret"
    /// The key that ``ProbeScript`` uses.
    static func probe(_ partition: Int) -> String { tags[partition] + "probe" }

    /// The key of a group's head.
    static func head(_ group: GroupKey, _ partition: Int) -> String {
        tags[partition] + group.kind.name + ":" + group.id.text
    }

    /// The key of a member of the group with this head.
    static func member(_ member: Member, ofHead head: String) -> String {
        switch member {
        case .head: return head
        case .saga: return head + "/saga"
        case .hold(let saga):
            return "\(head)/hold/\(saga.order.text)/\(String(saga.incarnation, radix: 16))/\(saga.attempt)"
        case .payment(let order): return head + "/payment/" + order.text
        case .receipt(let incarnation): return "\(head)/receipt/\(String(incarnation, radix: 16))"
        case .key(let key): return head + "/key/" + key.text
        case .refund(let refund): return head + "/refund/" + path(refund)
        case .refunded(let refund): return head + "/refunded/" + path(refund)
        // All entries of a partition lie in one set.
        case .trail: return head.prefix { $0 != "}" } + "}" + name(.trail)
        case .listed, .due: return head.prefix { $0 != "}" } + "}" + name(.lists)
        }
    }

    private static func path(_ refund: RefundID) -> String {
        "\(refund.order.text)/\(String(refund.incarnation, radix: 16))/\(refund.number)"
    }

    private static func refund(_ path: String) -> RefundID? {
        named(path).map { RefundID(order: $0.order, incarnation: $0.incarnation, number: $0.number) }
    }

    /// What names a saga or a refund.
    private static func named(_ path: String) -> (order: Identifier, incarnation: UInt64, number: UInt32)? {
        let parts = path.split(separator: "/")
        guard parts.count == 3, let order = Identifier(String(parts[0])), let incarnation = UInt64(parts[1], radix: 16),
            let number = UInt32(parts[2])
        else { return nil }
        return (order, incarnation, number)
    }

    /// The record that a key is for; nil if it is no record's key.
    static func record(_ key: String) -> RecordKey? {
        guard let brace = key.firstIndex(of: "}") else { return nil }
        let path = key[key.index(after: brace)...]
        // An idempotency key may have slashes in it.
        let parts = path.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false)
        let name = parts[0].split(separator: ":", maxSplits: 1)
        guard name.count == 2, let kind = GroupKey.Kind(name: name[0]), let id = Identifier(String(name[1])) else { return nil }
        let group = GroupKey(kind, id)
        if parts.count == 1 { return RecordKey(group, .head) }
        guard let member = member(parts[1], parts.count == 3 ? String(parts[2]) : "") else { return nil }
        return RecordKey(group, member)
    }

    private static func member(_ kind: Substring, _ rest: String) -> Member? {
        switch kind {
        case "saga": return .saga
        case "hold":
            return named(rest).map {
                .hold(SagaID(order: $0.order, incarnation: $0.incarnation, attempt: $0.number))
            }
        case "refund": return refund(rest).map { .refund($0) }
        case "refunded": return refund(rest).map { .refunded($0) }
        case "payment": return Identifier(rest).map { .payment(order: $0) }
        case "receipt": return UInt64(rest, radix: 16).map { .receipt(incarnation: $0) }
        case "key": return IdempotencyKey(rest).map { .key($0) }
        default: return nil
        }
    }
}

extension GroupKey.Kind {
    fileprivate var name: String {
        switch self {
        case .item: return "item"
        case .user: return "user"
        case .order: return "order"
        }
    }

    fileprivate init?(name: Substring) {
        guard let kind = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = kind
    }
}
