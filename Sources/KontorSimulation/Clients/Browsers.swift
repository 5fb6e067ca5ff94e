// Clients that read lists to their end, page by page, while others create, replace and check out what is listed.

import KontorCore
import KontorService

/// A list as one client read it.
struct Listing {
    enum Subject: Hashable {
        case items, users
        /// nil: of all users.
        case orders(of: String?)
        case paidOrders
    }

    let subject: Subject
    let began: Int64
    var ended: Int64 = 0
    /// The ids, in the order in which they came.
    var ids: [String] = []
}

/// Reads lists, and keeps those that were read to their end.
final class Browsers {
    private let world: Surroundings
    private let swarm: Swarm
    private let market: Market
    private let shop: any ShopFront
    private let random: SeededRandom
    private(set) var listings: [Listing] = []
    private var isOpen = true
    /// The number of lists that are being read.
    private(set) var busy = 0

    init(_ world: Surroundings, _ swarm: Swarm, _ market: Market, _ shop: any ShopFront, _ random: SeededRandom) {
        self.world = world
        self.swarm = swarm
        self.market = market
        self.shop = shop
        self.random = random
    }

    /// Starts them: each reads one list after the other until ``stop()``.
    func start() {
        for number in 0..<swarm.browsers {
            let chance = random.fork()
            world.scheduler.after(chance.within(0...swarm.thinking)) { [self] in next("browser \(number + 1)", chance) }
        }
    }

    /// Ends them: what is being read is given up.
    func stop() { isOpen = false }

    private func next(_ name: String, _ chance: SeededRandom) {
        guard isOpen else { return }
        let subject: Listing.Subject
        switch chance.below(6) {
        case 0: subject = .items
        case 1: subject = .users
        case 2: subject = .paidOrders
        case 3: subject = .orders(of: market.users.isEmpty ? nil : chance.pick(market.users))
        default: subject = .orders(of: nil)
        }
        read(subject, name, chance, atMost: chance.pick([1, 2, 3, 7, 200]), canEnd: { [self] in !isOpen }) { [self] _ in
            world.scheduler.after(chance.within(0...(2 * swarm.thinking))) { [self] in next(name, chance) }
        }
    }

    /// Reads a list to its end.
    ///
    /// - Parameters:
    ///   - canEnd: whether it is given up now.
    ///   - completion: is told whether it was read to its end.
    func read(
        _ subject: Listing.Subject, _ name: String, _ chance: SeededRandom, atMost bound: Int, canEnd: @escaping () -> Bool,
        completion: @escaping (Bool) -> Void
    ) {
        busy += 1
        var listing = Listing(subject: subject, began: world.scheduler.now)
        func page(behind cursor: ListCursor?) {
            if canEnd() {
                busy -= 1
                return completion(false)
            }
            let exchange = Exchange(world, swarm, shop, chance) { _ in }
            exchange.run(subject.request(behind: cursor, atMost: bound), key: nil, milliseconds: 5_000) { [self] answer in
                guard let (ids, next) = answer?.page else {
                    if answer != nil { world.coverage[.listRefused] += 1 }
                    let pause = chance.within(.milliseconds(5)...(.milliseconds(500)))
                    return world.scheduler.after(pause) { page(behind: cursor) }
                }
                listing.ids += ids
                if let next {
                    world.coverage[.listGoneOn] += 1
                    return world.scheduler.after(isOpen ? chance.within(0...swarm.thinking) : 0) { page(behind: next) }
                }
                listing.ended = world.scheduler.now
                world.trace.note(name, "has read \(subject): \(listing.ids.joined(separator: " "))")
                if isOpen { world.coverage[.listedWhileChanging] += 1 }
                listings.append(listing)
                busy -= 1
                completion(true)
            }
        }
        page(behind: nil)
    }
}

extension Listing.Subject {
    fileprivate func request(behind cursor: ListCursor?, atMost bound: Int) -> ShopRequest {
        switch self {
        case .items: .listItems(behind: cursor, atMost: bound)
        case .users: .listUsers(behind: cursor, atMost: bound)
        case .orders(let user): .listOrders(user: user.flatMap { Identifier($0) }, state: nil, behind: cursor, atMost: bound)
        case .paidOrders: .listOrders(user: nil, state: .paid, behind: cursor, atMost: bound)
        }
    }
}

extension ShopAnswer {
    /// The ids of a page, and behind which place the next one begins; nil: it is no page. A cursor goes through its
    /// text, as over HTTP.
    fileprivate var page: (ids: [String], next: ListCursor?)? {
        switch self {
        case .listedOrders(let orders, let next): (orders.map(\.id.text), next.flatMap { ListCursor($0.text) })
        case .listedAccounts(let accounts, let next): (accounts.map(\.id.text), next.flatMap { ListCursor($0.text) })
        default: nil
        }
    }
}
