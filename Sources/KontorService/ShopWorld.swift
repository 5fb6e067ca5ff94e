// Whether a shop is alone over its store or one of several, and what it takes to be one of several: messages that leave behind the
// barrier, and a look after what others left.

import KontorCore

/// Who else works on the store of a shop.
public enum ShopWorld {
    /// Nobody. The messages of its sagas go from queue to queue, and none is lost, doubled or late.
    case alone
    /// Other whole shops. The messages of its sagas go over these, to the ledgers of any of them.
    case oneOfSeveral(stock: any Participant, payment: any Participant)
}

/// What a turn says to other processes. It leaves behind the turn's barrier: what it tells may not be durable yet.
final class Departures {
    private var replies: [() -> Void] = []
    private var batches: [(link: any Participant, messages: [ParticipantMessage])] = []

    func add(_ reply: @escaping () -> Void) { replies.append(reply) }

    /// Adds messages to what leaves over a link in this turn, as one batch.
    func add(_ messages: [ParticipantMessage], over link: any Participant) {
        if let index = batches.firstIndex(where: { $0.link === link }) {
            batches[index].messages += messages
        } else {
            batches.append((link, messages))
        }
    }

    /// Ends the turn.
    func take() -> [() -> Void] {
        defer { (replies, batches) = ([], []) }
        return replies + batches.map { batch in { batch.link.send(batch.messages) } }
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

/// What one of several does besides its own work.
final class Neighbourhood {
    let departures: Departures
    private let takeover: Takeover
    private let orphans: OrphanScan

    init(_ shop: Shop.Parts, departures: Departures, clock: any ShopClock, random: any RandomSource) {
        self.departures = departures
        takeover = Takeover(shop, clock: clock, random: random)
        orphans = OrphanScan(shop, clock: clock)
    }

    func tick(now: Int64) {
        takeover.tick(now: now)
        orphans.tick(now: now)
    }
}

extension Shop {
    /// Takes messages of sagas that arrive for one of its ledgers, from any shop. Each is followed by ``endTurn()``, like a request.
    ///
    /// Replies leave behind the barrier. There may be none, if there is too much to do, and two, if a hold may wait.
    public func receive(_ messages: [ParticipantMessage], for kind: GroupKey.Kind) {
        guard let departures = neighbourhood?.departures else { return }
        // Everything else would be done twice if it came twice.
        let taken = messages.filter { $0.command.account.kind == kind && $0.command.isOfSagaOrRead }
        parts.ledger(kind).send(
            taken.map { message in
                ParticipantMessage(command: message.command, deadline: message.deadline) { reply in
                    departures.add { message.reply(reply) }
                }
            })
    }
}
