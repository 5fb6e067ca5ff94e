// One MGET for many read sets, and what its reply means.

import KontorCore
import KontorService
import RedisClient

/// Reads the epoch, and for each read set its group's head and its member. A head that several readSets need is read
/// once.
struct LoadPlan {
    /// Where the values of a readSet are in the reply.
    private struct Place {
        let head: Int
        /// nil: the read set is of the head alone.
        let member: Int?
    }

    private var names: [String]
    private var places: [Place] = []

    /// - Parameters:
    ///   - readSets: Each with the partition of its group.
    ///   - partition: The partition whose copy of the epoch is read.
    init(_ readSets: [(readSet: ReadSet, partition: Int)], epoch partition: Int) {
        names = [RedisKeys.epoch(partition)]
        var heads: [GroupKey: Int] = [:]
        for (readSet, partition) in readSets {
            let index: Int
            if let known = heads[readSet.group] {
                index = known
            } else {
                index = names.count
                names.append(RedisKeys.head(readSet.group, partition))
                heads[readSet.group] = index
            }
            guard let member = readSet.member else {
                places.append(Place(head: index, member: nil))
                continue
            }
            places.append(Place(head: index, member: names.count))
            names.append(RedisKeys.member(member, ofHead: names[index]))
        }
    }

    /// The `MGET`.
    var command: RedisCommand {
        var command = RedisCommand("MGET", argumentCount: names.count)
        for name in names { command.append(name) }
        return command
    }

    /// What the reply says about the read sets, in their order. Throws if it is not what Redis replies to `MGET`, or of
    /// another shop.
    func outcomes(in replies: [RESPValue], epoch: [UInt8]) throws(StoreError) -> [LoadOutcome] {
        guard let values = replies.first?.elements, values.count == names.count else { throw RedisStore.unreadable("MGET") }
        guard values[0].octets == epoch else { throw .unreachable(RedisEpoch.foreign) }
        return places.map { place in
            Result { () throws(StoreError) in
                var group = LoadedGroup(version: .absent, head: nil, member: nil)
                if let bytes = values[place.head].octets {
                    (group.version, group.head) = try RecordBytes.head(bytes, names[place.head])
                }
                if let member = place.member, let bytes = values[member].octets {
                    group.member = try RecordBytes.record(bytes[...], names[member])
                }
                return group
            }
        }
    }
}
