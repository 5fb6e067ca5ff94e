// Records whose bytes are whole and whose amounts are none: they are named, and end nothing.

import Foundation
import KontorCore
import KontorService
import KontorSimulation
import TestSupport
import Testing

@testable import KontorEmbedded

@Suite("Damaged records")
final class DamagedRecordTests {
    private let directory = FileManager.default.temporaryDirectory.path + "/kontor-" + UUID().uuidString
    private let lanes = ManualLanes()

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    @Test("an audit names a record with an amount near the largest number, and reads the others", arguments: [Int64.max, -1])
    func audit(balance: Int64) throws {
        let store = try EmbeddedStore.open(directory, lanes: lanes, random: SeededRandom(seed: 1))
        for (number, balance) in [(1, 5), (2, balance), (3, 7)] {
            let group = item(number)
            store.load([ReadSet(group)]) { result in
                guard let version = try? result.first?.get().version else { return }
                let change = GroupChange(group: group, expected: version, writes: [(.head, account(balance))])
                store.commit([change]) { #expect($0 == [.committed]) }
            }
            lanes.stepAll(.read)
        }
        store.flush()
        lanes.runAll()
        var read: [GroupKey] = []
        var unreadable: [GroupKey] = []
        try EmbeddedSnapshot(directory: directory).forEach {
            read.append($0.group)
            _ = $1
        } unreadable: {
            unreadable.append($0.group)
            #expect($1.contains("the amount \(balance)"))
        }
        #expect(read == [item(1), item(3)])
        #expect(unreadable == [item(2)])
        #expect(throws: EmbeddedError.self) { try EmbeddedSnapshot(directory: directory).forEach { _, _ in } }
    }
}
