// What a shop's day is made of: orders that did not exist before. Each is created, gets an item, and is checked out.

/// Asks three requests for each order, with many orders on their way at a time. The store only grows, as a real one
/// does: a run over the same orders, made anew by `batch_init` each time, would keep the store small and hide leaks.
public final class JourneyScenario: Scenario {
    private enum Step {
        case create
        case addItem
        case checkOut
    }

    private struct Journey {
        var step: Step
        var order: [UInt8]
    }

    private let items: Int
    private let users: Int
    private var started = 0
    private var journeys: [Int: Journey] = [:]
    /// Numbers of the journeys whose next step may be asked for.
    private var ready: [Int] = []

    /// - Parameters: how many items and users there are, "0" to "n-1".
    public init(items: Int, users: Int) {
        self.items = max(1, items)
        self.users = max(1, users)
    }

    public func next(into request: inout RequestBuffer) -> Ticket? {
        guard let number = ready.popLast(), let journey = journeys[number] else {
            started += 1
            journeys[started] = Journey(step: .create, order: [])
            write(.create, started, [], into: &request)
            return Ticket(started)
        }
        write(journey.step, number, journey.order, into: &request)
        return Ticket(number)
    }

    public func answered(_ ticket: Ticket, status: Int, body: UnsafeRawBufferPointer) {
        guard var journey = journeys[ticket.number] else { return }
        if status == 429 {
            ready.append(ticket.number)
            return
        }
        guard status == 200, journey.step != .checkOut else {
            journeys[ticket.number] = nil
            return
        }
        if journey.step == .create {
            guard let order = AnswerBody.createdID(in: body) else {
                journeys[ticket.number] = nil
                return
            }
            journey.order = order
        }
        journey.step = journey.step == .create ? .addItem : .checkOut
        journeys[ticket.number] = journey
        ready.append(ticket.number)
    }

    private func write(_ step: Step, _ number: Int, _ order: [UInt8], into request: inout RequestBuffer) {
        switch step {
        case .create:
            request.append("POST /orders/create/")
            request.append(number: number &* 7_919 % users)
        case .addItem:
            request.append("POST /orders/addItem/")
            request.append(order)
            request.append("/")
            request.append(number: number &* 104_729 % items)
            request.append("/1")
        case .checkOut:
            request.append("POST /orders/checkout/")
            request.append(order)
        }
        request.endHead()
    }
}
