// One of several services, as its process has it: a shop over a store in memory, one turn at the end of each round of the event loop.
//
// The seams: `LinkedShop` stands for ShopLoop, and `Way` for ServiceAssembly's, of the target `kontor`, which cannot be imported. They
// change with those.

import KontorCore
import KontorLink
import KontorMetrics
import KontorService
import KontorSimulation
import NIOCore
import NIOEmbedded

/// A service for orders, items or users.
final class LinkedShop: LinkService {
    private let eventLoop: EmbeddedEventLoop
    private let clock: TurnClock
    private var shop: Shop?
    private var completions: [() -> Void] = []
    private var isTurnDue = false
    private var nextTick: Int64 = 0

    /// - Parameter links: to the services that it sends messages to.
    init(
        _ kind: GroupKey.Kind, links: [GroupKey.Kind: LinkClient] = [:], on eventLoop: EmbeddedEventLoop, clock: TurnClock,
        sink: CountingSink
    ) {
        self.eventLoop = eventLoop
        self.clock = clock
        func way(to kind: GroupKey.Kind) -> Way { Way(links[kind]) { [unowned self] in post($0) } }
        let neighbours = Neighbours(
            served: [kind], stock: way(to: .item), payment: way(to: .user), orders: way(to: .order))
        shop = Shop(
            store: MemoryStore(), clock: clock, random: SeededRandom(seed: 1), log: NoLog(), sink: sink,
            world: .oneOfSeveral(neighbours), metrics: ShopMetrics(factory: MetricsRegistry([])))
    }

    func ask(_ request: ShopRequest) {
        shop?.handle(request, deadline: clock.monotonicMilliseconds + 5_000, caller: PlainCaller())
        wake()
    }

    func receive(_ messages: [ParticipantMessage], for kind: GroupKey.Kind) {
        shop?.receive(messages, for: kind)
        wake()
    }

    func receive(_ questions: [OrderQuestion]) {
        shop?.receive(questions)
        wake()
    }

    private func post(_ work: @escaping () -> Void) {
        completions.append(work)
        wake()
    }

    /// A turn at the end of this round of the event loop, with all that has come in it.
    func wake() {
        guard !isTurnDue else { return }
        isTurnDue = true
        eventLoop.assumeIsolated().execute { self.turn() }
    }

    private func turn() {
        isTurnDue = false
        let finished = completions
        completions = []
        for completion in finished { completion() }
        if clock.monotonicMilliseconds >= nextTick {
            nextTick = clock.monotonicMilliseconds + Limits.tickMilliseconds
            shop?.tick()
        }
        shop?.endTurn()
    }
}

/// The way to another service: its replies are handled in one of the shop's turns. Without a link everything is lost.
private final class Way: Participant, OrderReader {
    private let link: LinkClient?
    private let post: (@escaping () -> Void) -> Void

    init(_ link: LinkClient?, post: @escaping (@escaping () -> Void) -> Void) {
        self.link = link
        self.post = post
    }

    func send(_ messages: [ParticipantMessage]) {
        link?.send(
            messages.map { message in
                ParticipantMessage(command: message.command, deadline: message.deadline) { [post] reply in
                    post { message.reply(reply) }
                }
            })
    }

    func ask(_ questions: [OrderQuestion]) {
        link?.ask(
            questions.map { question in
                OrderQuestion(command: question.command) { [post] reply in post { question.reply(reply) } }
            })
    }
}
