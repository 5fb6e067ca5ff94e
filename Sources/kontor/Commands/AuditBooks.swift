// `kontor audit` and the page /audit: the books of one consistent cut, whether or not the shop is running.

import ArgumentParser
import Foundation
import KontorEmbedded
import KontorHTTP
import KontorRedis
import KontorService
import RedisClient

struct AuditBooks: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit",
        abstract: "Proves that nothing was created or lost, or names the accounts and orders where it was.",
        discussion: "Reads only, also while the shop runs. Exit status 1 if the books do not balance.")

    @Option(help: "The directory of the store. (default: kontor-data; environment: KONTOR_DATA)")
    var data: String?

    @OptionGroup(title: "Three services over Redis, instead of a directory; exact while nothing is written")
    var stores: StoreOptions

    func run() throws {
        let stores = data == nil ? try stores.stores() : []
        let report: AuditReport
        do {
            report = try stores.isEmpty ? audit(Setting.directory(data)) : auditStores(stores)
        } catch let error as ValidationError {
            throw error
        } catch {
            FileHandle.standardError.write(Data("kontor: the books cannot be read: \(error)\n".utf8))
            throw ExitCode(2)
        }
        print(
            """
            \(report.accounts) accounts, \(report.orders) orders (\(report.paidOrders) paid, \(report.reservations) reserved), \
            \(report.openSagas) open checkouts, \(report.refunds) refunds (\(report.openRefunds) open)
            """)
        for culprit in report.culprits { print("\(culprit.finding.rawValue): \(culprit.subject): \(culprit.detail)") }
        if report.unnamedCulprits > 0 { print("... and at least \(report.unnamedCulprits) more.") }
        print(
            report.isClean
                ? "The books balance."
                : "The books do NOT balance: \(report.culprits.count + report.unnamedCulprits) findings.")
        if !report.isClean { throw ExitCode(1) }
    }
}

/// Audits the Redis stores of a shop's services. The stores are read one after the other, so the sums are exact only
/// while nothing is written.
func auditStores(_ stores: [RedisOptions]) throws -> AuditReport {
    try StoreReader.with(stores) { reader, promise in
        readEpochs(reader.clients[...], known: nil) { refusal in
            if let refusal { return promise.fail(refusal) }
            let audit = RunningAudit()
            audit.run(reader.clients) { promise.completeWith($0) }
        }
    }
}

/// Checks that all stores belong to one shop: the books of stores of several shops could balance, too.
private func readEpochs(
    _ clients: ArraySlice<RedisClient>, known: StoreEpoch?, completion: @escaping (RedisStoreError?) -> Void
) {
    guard let client = clients.first else { return completion(nil) }
    RedisEpoch.read(client) { result in
        switch result {
        case .failure(let refusal): completion(refusal)
        case .success(let epoch) where known != nil && known?.shop != epoch.shop:
            completion(RedisStoreError(description: "These stores are of different shops."))
        case .success(let epoch): readEpochs(clients.dropFirst(), known: epoch, completion: completion)
        }
    }
}

/// Audits one store after the other. Used on one event loop.
private final class RunningAudit {
    private var audit = Audit()

    func run(_ clients: [RedisClient], completion: @escaping (Result<AuditReport, any Error>) -> Void) {
        walk(clients[...]) { [self] refusal in
            if let refusal { return completion(.failure(refusal)) }
            if audit.endWalk() { run(clients, completion: completion) } else { completion(.success(audit.report)) }
        }
    }

    private func walk(_ clients: ArraySlice<RedisClient>, completion: @escaping (RedisStoreError?) -> Void) {
        guard let client = clients.first else { return completion(nil) }
        RedisScan.forEachRecord(client) { [self] key, record in
            audit.add(key, record)
        } unreadable: { [self] key, reason in
            audit.add(unreadable: key, reason)
        } completion: { [self] result in
            switch result {
            case .failure(let refusal): completion(refusal)
            case .success: walk(clients.dropFirst(), completion: completion)
            }
        }
    }
}

/// Audits one consistent cut of a store.
private func audit(_ directory: String) throws -> AuditReport {
    try EmbeddedSnapshot(directory: directory).read { cut in
        var audit = Audit(hasLists: try cut.isListed)
        repeat {
            try cut.forEach {
                audit.add($0, $1)
            } unreadable: {
                audit.add(unreadable: $0, $1)
            }
        } while audit.endWalk()
        return audit.report
    }
}

/// The content of `/audit`, as JSON.
struct AuditPage: Codable {
    struct Culprit: Codable { let finding, subject, detail: String }
    let clean: Bool
    let accounts, orders, paidOrders, receipts, openSagas: Int
    /// nil: the page is of a release without refunds.
    let refunds, openRefunds: Int?
    /// nil: the page is of a release without reservations.
    let reservations: Int?
    let culprits: [Culprit]
    /// How much more is wrong than is named.
    let unnamedCulprits: Int?

    init(_ report: AuditReport) {
        clean = report.isClean
        accounts = report.accounts
        orders = report.orders
        paidOrders = report.paidOrders
        receipts = report.receipts
        openSagas = report.openSagas
        refunds = report.refunds
        openRefunds = report.openRefunds
        reservations = report.reservations
        culprits = report.culprits.map { Culprit(finding: $0.finding.rawValue, subject: $0.subject, detail: $0.detail) }
        unnamedCulprits = report.unnamedCulprits > 0 ? report.unnamedCulprits : nil
    }
}

/// The audit as JSON, for the operators' listener.
func auditPage(of directory: String) throws -> OperatorPage {
    let report = try audit(directory)
    let page = AuditPage(report)
    let body = String(decoding: try JSONEncoder().encode(page), as: UTF8.self)
    return OperatorPage(status: report.isClean ? 200 : 500, body: body)
}
