// One MGET for many touches, and what its reply means.

import KontorCore
import KontorService

/// Reads the epoch, and of each touch the head and the member. A head that several touches need is read once.
struct LoadPlan {
    private struct Place {
        let head: Int
        let member: Int?
    }

    private var names: [String]
    private var places: [Place] = []

    init(_ touches: [(touch: Touch, partition: Int)], epoch partition: Int) {
        names = [RedisKeys.epoch(partition)]
        var heads: [GroupKey: Int] = [:]
        for (touch, partition) in touches {
            let index: Int
            if let known = heads[touch.group] {
                index = known
            } else {
                index = names.count
                names.append(RedisKeys.head(touch.group, partition))
                heads[touch.group] = index
            }
            guard let member = touch.member else {
                places.append(Place(head: index, member: nil))
                continue
            }
            places.append(Place(head: index, member: names.count))
            names.append(RedisKeys.member(member, ofHead: names[index]))
        }
    }

    var command: RedisCommand {
        var command = RedisCommand("MGET", argumentCount: names.count)
        for name in names { command.append(name) }
        return command
    }

    func groups(in replies: [RESPValue], epoch: [UInt8]) throws(StoreTrouble) -> [LoadedGroup] {
        guard let values = replies.first?.elements, values.count == names.count else { throw RedisStore.unreadable("MGET") }
        guard values[0].octets == epoch else { throw .unreachable(RedisEpoch.foreign) }
        var groups: [LoadedGroup] = []
        groups.reserveCapacity(places.count)
        for place in places {
            var group = LoadedGroup(version: .absent, head: nil, member: nil)
            if let bytes = values[place.head].octets {
                (group.version, group.head) = try RecordBytes.head(bytes, names[place.head])
            }
            if let member = place.member, let bytes = values[member].octets {
                group.member = try RecordBytes.record(bytes[...], names[member])
            }
            groups.append(group)
        }
        return groups
    }
}

extension RESPValue {
    /// The bytes of a string, to keep; nil for all else.
    var octets: [UInt8]? { bytes.map { Array($0.readableBytesView) } }
}

/// Records and versions as Redis has them.
enum RecordBytes {
    private static let versionBytes = 16

    static func bytes(_ record: Record) -> [UInt8] {
        var writer = ByteWriter()
        record.encode(into: &writer)
        return writer.bytes
    }

    /// Empty for a group that is absent.
    static func bytes(_ version: Version) -> [UInt8] {
        if version == .absent { return [] }
        var writer = ByteWriter()
        writer.fixed(version.writer)
        writer.fixed(version.counter)
        return writer.bytes
    }

    static func record(_ bytes: ArraySlice<UInt8>, _ name: String) throws(StoreTrouble) -> Record {
        do { return try Record(decoding: bytes) } catch { throw .unreachable("\(name) cannot be read: \(error)") }
    }

    static func head(_ bytes: [UInt8], _ name: String) throws(StoreTrouble) -> (Version, Record?) {
        do {
            var reader = ByteReader(bytes)
            let version = Version(writer: try reader.fixed(UInt64.self), counter: try reader.fixed(UInt64.self))
            return (version, reader.isAtEnd ? nil : try Record(decoding: bytes[versionBytes...]))
        } catch {
            throw .unreachable("\(name) cannot be read: \(error)")
        }
    }
}
