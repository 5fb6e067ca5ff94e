// Groups elements into calls: in a cluster a call can only have keys of one hash slot.

/// Elements that go into one call, by their places in the list that they come from.
struct PartitionBatch {
    /// The partition whose slot, epoch and barrier the call uses: that of its first element.
    let partition: Int
    /// The index and the partition of each element.
    private(set) var members: [(index: Int, partition: Int)]

    /// Divides elements among as few calls as possible: in a cluster one for each partition, else one.
    static func batches<Element>(
        _ elements: [Element], isCluster: Bool, partition: (Element) -> Int
    ) -> [PartitionBatch] {
        let members = elements.enumerated().map { (index: $0, partition: partition($1)) }
        guard let first = members.first else { return [] }
        if !isCluster { return [PartitionBatch(partition: first.partition, members: members)] }
        var batches: [PartitionBatch] = []
        var places: [Int: Int] = [:]
        for member in members {
            if let place = places[member.partition] {
                batches[place].members.append(member)
            } else {
                places[member.partition] = batches.count
                batches.append(PartitionBatch(partition: member.partition, members: [member]))
            }
        }
        return batches
    }
}
