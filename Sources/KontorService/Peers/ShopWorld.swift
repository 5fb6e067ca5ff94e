// Whether a shop is alone over its store or one of several, and what it takes to be one of several: messages that leave behind the
// barrier, and a look after what others left.

import KontorCore

/// Who else works on the store of a shop.
public enum ShopWorld {
    /// Nobody. The messages of its sagas go from queue to queue, and none is lost, doubled or late.
    case alone
    case oneOfSeveral(Neighbours)
}

/// The processes of a shop that is spread over several, as one of them reaches them: itself among them, if it serves what is asked for.
public struct Neighbours {
    /// What this process serves, from its own store.
    public let served: Set<GroupKey.Kind>
    public let stock: any Participant
    public let payment: any Participant
    /// Needed where orders are not served.
    public let orders: any OrderReader

    public init(served: Set<GroupKey.Kind>, stock: any Participant, payment: any Participant, orders: any OrderReader) {
        self.served = served
        self.stock = stock
        self.payment = payment
        self.orders = orders
    }
}

/// What a turn says to other processes. It leaves behind the turn's barrier: what it tells may not be durable yet.
final class Departures {
    private var replies: [() -> Void] = []
    private var batches: [(link: any Participant, messages: [ParticipantMessage])] = []
    private var questions: [(orders: any OrderReader, questions: [OrderQuestion])] = []

    func add(_ reply: @escaping () -> Void) { replies.append(reply) }

    /// Adds messages to what leaves over a link in this turn, as one batch.
    func add(_ messages: [ParticipantMessage], over link: any Participant) {
        if let index = batches.firstIndex(where: { $0.link === link }) {
            batches[index].messages += messages
        } else {
            batches.append((link, messages))
        }
    }

    func add(_ asked: [OrderQuestion], to orders: any OrderReader) { questions.append((orders, asked)) }

    /// Ends the turn.
    func take() -> [() -> Void] {
        defer { (replies, batches, questions) = ([], [], []) }
        return replies + batches.map { batch in { batch.link.send(batch.messages) } }
            + questions.map { batch in { batch.orders.ask(batch.questions) } }
    }
}

/// A link to the ledgers of any shop.
final class DepartingLink: Participant {
    private let link: any Participant
    private let departures: Departures

    init(_ link: any Participant, _ departures: Departures) {
        self.link = link
        self.departures = departures
    }

    func send(_ messages: [ParticipantMessage]) { departures.add(messages, over: link) }
}

/// A link to the orders of any process.
final class DepartingQuestions: OrderReader {
    private let orders: any OrderReader
    private let departures: Departures

    init(_ orders: any OrderReader, _ departures: Departures) {
        self.orders = orders
        self.departures = departures
    }

    func ask(_ questions: [OrderQuestion]) { departures.add(questions, to: orders) }
}

/// What one of several does besides its own work.
final class Neighbourhood {
    let served: Set<GroupKey.Kind>
    let departures: Departures
    private let reads: RemoteReads
    private let takeover: Takeover?
    private let orphans: OrphanScan

    init(
        _ shop: Shop.Parts, served: Set<GroupKey.Kind>, departures: Departures, reads: RemoteReads, clock: any ShopClock,
        random: any RandomSource
    ) {
        self.served = served
        self.departures = departures
        self.reads = reads
        takeover = served.contains(.order) ? Takeover(shop, clock: clock, random: random) : nil
        orphans = OrphanScan(shop, of: [.item, .user].filter(served.contains), clock: clock)
    }

    func tick(now: Int64) {
        reads.tick(now: now)
        takeover?.tick(now: now)
        orphans.tick(now: now)
    }
}

extension Shop {
    /// Takes messages of sagas that arrive for one of its ledgers, from any process. Each is followed by ``endTurn()``, like a request.
    ///
    /// Replies leave behind the barrier. There may be none, if there is too much to do, and two, if a hold may wait.
    public func receive(_ messages: [ParticipantMessage], for kind: GroupKey.Kind) {
        guard let neighbourhood, neighbourhood.served.contains(kind) else { return }
        // Everything else would be done twice if it came twice.
        let taken = messages.filter { $0.command.account.kind == kind && $0.command.isOfSagaOrRead }
        parts.ledger(kind).send(
            taken.map { message in
                ParticipantMessage(command: message.command, deadline: message.deadline) { reply in
                    neighbourhood.departures.add { message.reply(reply) }
                }
            })
    }

    /// Takes what ledgers of other processes ask about orders. Like ``receive(_:for:)``.
    public func receive(_ questions: [OrderQuestion]) {
        guard let neighbourhood, neighbourhood.served.contains(.order) else { return }
        let taken = questions.filter { $0.command.operation == .inspect || $0.command.operation == .read }
        parts.orders.ask(
            taken.map { question in
                OrderQuestion(command: question.command) { reply in neighbourhood.departures.add { question.reply(reply) } }
            })
    }
}
