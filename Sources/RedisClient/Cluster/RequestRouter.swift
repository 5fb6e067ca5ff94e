// Where a unit goes, and what becomes of it when it comes back: done, sent again, not sent, or unknown.

import NIOCore

extension RedisClient {
    /// Sends a unit to where it belongs now.
    func dispatch(_ unit: RedisUnit) {
        if isClosed { return fail(unit, .notSent("the client was closed")) }
        if unit.deadline <= .now() { return fail(unit, .notSent(unit.lastReason ?? "its deadline has passed")) }
        if let pinned = unit.pinned, topology.isKnown, !topology.masters.contains(pinned) {
            return fail(unit, .notSent("\(pinned) is no master any more"))
        }
        guard let target = unit.asked ?? unit.pinned ?? topology.owner(of: unit.slot) else {
            return delay(unit, topology.isKnown ? "no node owns the slot" : "no node was found yet")
        }
        guard let link = link(RedisLink.Key(address: target, lane: unit.lane)) else {
            return delay(unit, "the client has not started")
        }
        if let refusal = link.submit(unit) { return fail(unit, .notSent(refusal)) }
        if link.hasWaiting { scheduleSweep() }
    }

    private func link(_ key: RedisLink.Key) -> RedisLink? {
        if let link = links[key] { return link }
        guard let transport else { return nil }
        let link = RedisLink(
            key, options: options, on: eventLoop, transport: transport, backoff: backoff, owner: self)
        links[key] = link
        return link
    }

    /// A unit was not executed: goes to where the answer pointed, or waits and tries again.
    private func redirect(_ unit: RedisUnit, _ refusal: RedisRefusal) {
        unit.asked = nil
        unit.lastReason = refusal.reason
        // The first redirection is followed at once; nodes that point at each other get a pause.
        let isFirst = unit.attempts == 0
        switch refusal {
        case .moved(let slot, let target):
            if topology.move(slot, to: target) {
                didChange?()
            }
            seekMap()
            if isFirst && isCluster && unit.pinned == nil {
                unit.attempts += 1
                return dispatch(unit)
            }
        case .ask(let target):
            if isFirst {
                unit.attempts += 1
                unit.asked = target
                return dispatch(unit)
            }
            // Later ones are told to ask as well, after a pause.
            return delay(unit, refusal.reason, asked: target)
        case .misplaced: seekMap()
        case .busy: break
        }
        delay(unit, refusal.reason)
    }

    /// Keeps a unit for a jittered pause.
    private func delay(_ unit: RedisUnit, _ reason: String, asked: RedisAddress? = nil) {
        unit.asked = asked
        unit.lastReason = reason
        unit.attempts += 1
        guard !isClosed else { return fail(unit, .notSent("the client was closed")) }
        guard delayed.count < options.maximumHeldUnits else {
            return fail(unit, .notSent("too many units wait to be sent again: \(reason)"))
        }
        unit.dueAt = .now() + .milliseconds(backoff.pauseMilliseconds(after: unit.attempts))
        delayed.append(unit)
        scheduleSweep()
    }

    func fail(_ unit: RedisUnit, _ failure: RedisFailure) {
        later { unit.completion(.failure(failure)) }
    }

    private func scheduleSweep() {
        if isSweepScheduled || isClosed { return }
        isSweepScheduled = true
        eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(RedisLimits.sweepMilliseconds)) { self.sweep() }
    }

    /// Looks at all units that wait: for their time, and for their deadline.
    private func sweep() {
        isSweepScheduled = false
        let now = NIODeadline.now()
        let due = delayed.filter { $0.dueAt <= now || $0.deadline <= now }
        delayed.removeAll { $0.dueAt <= now || $0.deadline <= now }
        for unit in due { dispatch(unit) }
        for link in links.values {
            for unit in link.takeWaiting(where: { $0.deadline <= now }) {
                fail(unit, .notSent(unit.lastReason ?? "there was no connection to \(link.key.address)"))
            }
        }
        // The node that is waited for may have been replaced, and connecting to one that is stopped takes long to fail.
        if links.values.contains(where: { $0.isFailing && $0.hasWaiting }) { seekMap() }
        if !delayed.isEmpty || links.values.contains(where: { $0.hasWaiting }) { scheduleSweep() }
    }
}

extension RedisClient: RedisLinkOwner {
    func linkReconnected(_ link: RedisLink) {
        log("a node was reached again", ["node": link.key.address.description])
        didChange?()
    }

    func link(_ link: RedisLink, finished unit: RedisUnit) {
        if let refusal = RedisRefusal.of(unit.replies, lane: unit.lane, asked: link.key.address) {
            redirect(unit, refusal)
        } else {
            unit.completion(.success(unit.replies))
        }
    }

    func link(_ link: RedisLink, lost loss: RedisLoss) {
        let address = link.key.address
        retired.removeAll { $0 === link }
        if link.hasBegunToFail && !isClosed {
            log("a connection was lost or not made", ["node": address.description, "reason": loss.reason])
        }
        seekMap()
        for (index, unit) in loss.sent.enumerated() {
            settle(unit, at: address, reason: loss.reason, isPoison: loss.isGarbled && index == 0)
        }
        for unit in loss.unsent { again(unit, loss.reason) }
        // Whoever was to ask a node that cannot be reached is better off with the owner of the slot.
        for unit in link.takeWaiting(where: { $0.asked != nil }) { again(unit, loss.reason) }
        if isCluster && links[link.key] === link && !topology.masters.contains(address) && !link.hasWaiting {
            links[link.key] = nil
            link.retire()
        }
    }

    /// What becomes of a unit that was sent and not answered in full.
    private func settle(_ unit: RedisUnit, at address: RedisAddress, reason: String, isPoison: Bool) {
        if let refusal = RedisRefusal.of(unit.replies, lane: unit.lane, asked: address) {
            redirect(unit, refusal)
        } else if unit.lane == .writes {
            fail(unit, .unknown("the connection to \(address) was lost: \(reason)"))
        } else if isPoison {
            fail(unit, .notSent(reason))
        } else {
            again(unit, reason)
        }
    }

    private func again(_ unit: RedisUnit, _ reason: String) {
        unit.replies.removeAll()
        delay(unit, reason)
    }
}
