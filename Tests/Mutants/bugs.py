"""One-line bugs: a name, the file, what stands there, and what is written instead.

Each is a mistake that somebody made once, in this shop or another one. What stands there must occur exactly once.
"""

from typing import NamedTuple


class Bug(NamedTuple):
    name: str
    file: str
    old: str
    new: str


LEDGER = "Sources/KontorCore/Ledger/LedgerRules.swift"
PAYMENT = "Sources/KontorCore/Ledger/PaymentRules.swift"
ORDER = "Sources/KontorCore/Order/OrderRules.swift"
SAGA = "Sources/KontorCore/Saga/CheckoutSaga.swift"
REFUND = "Sources/KontorCore/Refund/"
SERVICE = "Sources/KontorService/"
EMBEDDED = "Sources/KontorEmbedded/"

BUGS = [
    # The ledger.
    Bug("no marker when a hold that never came is released", LEDGER,
        "            draft.setHold(Hold(amount: amount, state: .released, expiry: expiry), of: saga)\n            return .done",
        "            return .done"),
    Bug("a hold is granted in spite of its marker", LEDGER,
        "        if let earlier = draft.hold(saga) {\n            if earlier.state == .released { return .anomaly(.lateHold) }\n",
        "        if let earlier = draft.hold(saga), earlier.state != .released {\n"),
    Bug("a hold that was replayed is looked at behind the amount", LEDGER,
        "        if let earlier = draft.hold(saga) {\n",
        "        if let account = draft.account, amount > account.available { return .insufficient(balance: account.available) }\n"
        "        if let earlier = draft.hold(saga) {\n"),
    Bug("a repeated hold locks again", LEDGER,
        "return earlier.amount == amount ? .held(grant: earlier.grant) : .anomaly(.differentAmount)",
        "draft.account?.held += amount; return .held(grant: earlier.grant)"),
    Bug("a repeated capture sells again", LEDGER,
        "        if hold.state == .captured { return .done }\n\n        // From here on it succeeds.\n        account.held -= amount\n",
        "\n        // From here on it succeeds.\n        if hold.state == .held { account.held -= amount }\n"),
    Bug("a release keeps the lock", LEDGER,
        "            account.held -= amount\n            draft.account = account\n        }\n        hold.state = .released",
        "            draft.account = account\n        }\n        hold.state = .released"),
    Bug("nothing of a finished checkout is ever removed", LEDGER,
        "        draft.setHold(nil, of: saga)\n        return .done\n    }\n\n    /// Undoes a hold", "        return .done\n    }\n\n    /// Undoes a hold"),
    Bug("a repeated release gives back twice", LEDGER,
        "        if hold.state == .released { return .done }\n\n        // From here on it succeeds.\n        if var account = draft.account {\n            account.held -= amount\n",
        "\n        // From here on it succeeds.\n        if var account = draft.account {\n            account.held -= min(account.held, amount)\n"),
    Bug("a hold takes what others hold", LEDGER,
        "        if let refusal = account.refusal(of: amount) { return refusal }\n\n        // From here on it succeeds.\n        let grant",
        "        if amount > account.balance { return .insufficient(balance: account.balance) }\n\n        // From here on it succeeds.\n        let grant"),
    Bug("a hold is refused for somebody else's undecided checkout", LEDGER,
        "        if let refusal = account.refusal(of: amount) { return refusal }\n\n        // From here on it succeeds.\n        let grant",
        "        if amount > account.available { return .insufficient(balance: account.available) }\n\n        // From here on it succeeds.\n        let grant"),
    Bug("a withdrawal takes what is held", LEDGER,
        "        if let refusal = account.refusal(of: amount) { return refusal }\n\n        // From here on it succeeds.\n        account.balance -= amount\n        account.withdrawn += amount",
        "        if amount > account.balance { return .insufficient(balance: account.balance) }\n\n        // From here on it succeeds.\n        account.balance -= amount\n        account.withdrawn += amount"),
    Bug("a payment that is cancelled twice comes back twice", PAYMENT,
        "        if payment.isCancelled { return .done }\n", ""),
    Bug("a checkout charges although a direct payment stands", PAYMENT,
        "guard account.mayHavePayments, draft.key.kind == .user else { return nil }",
        "guard account.mayHavePayments, draft.key.kind == .item else { return nil }"),
    Bug("a checkout does not wait for a payment that is being made", PAYMENT,
        "        if draft.contains(.hold(lock)), draft.hold(lock)?.state == .held { return .contended(balance: account.balance) }\n",
        "        _ = lock\n"),
    Bug("an order that its checkout has paid is paid directly", SERVICE + "Checkout/DirectPayments.swift",
        "        case .paid: return .refused(.paidByCheckout)\n", "        case .paid: return .payable(incarnation: incarnation)\n"),
    Bug("a payment does not wait for the end of its order's checkout", SERVICE + "Checkout/DirectPayments.swift",
        "        case .checkingOut: return .refused(.order(.isCheckingOut))\n",
        "        case .checkingOut: return .payable(incarnation: incarnation)\n"),
    Bug("anybody pays for anybody's order", SERVICE + "Checkout/DirectPayments.swift",
        "        if self.user != user { return .refused(.orderOfAnotherUser) }\n", ""),
    # The order.
    Bug("an order for nothing asks for no user", "Sources/KontorCore/Order/Order.swift",
        "        legs.append(Leg(account: GroupKey(.user, user), amount: total))\n",
        "        if total > .zero { legs.append(Leg(account: GroupKey(.user, user), amount: total)) }\n"),
    Bug("a removed item is still charged", ORDER, "        order.total -= order.lines[index].price\n", ""),
    Bug("a basket can change while it is checked out", ORDER, "        case .checkingOut: return .isCheckingOut\n        case .paid: return .alreadyPaid",
        "        case .checkingOut: return nil\n        case .paid: return .alreadyPaid"),
    Bug("batch_init replaces an order in the midst of its checkout", ORDER,
        "            if old.status == .checkingOut || draft.saga != nil { return .isCheckingOut }\n", ""),
    Bug("a later decision overrides the first one", ORDER,
        "        case .committed, .aborted, .retrying: return .decided(saga)\n        case .holdingTogether, .holdingInOrder: break",
        "        case .retrying: return .decided(saga)\n        case .committed, .aborted, .holdingTogether, .holdingInOrder: break"),
    Bug("an attempt has the number of the one before", ORDER,
        "        order.attempt += 1\n        order.status = .checkingOut", "        order.attempt = max(1, order.attempt)\n        order.status = .checkingOut"),
    Bug("a second try in lock order has the first one's number", ORDER,
        "        order.history.end(id.attempt, trace)\n        order.attempt += 1\n", "        order.history.end(id.attempt, trace)\n"),
    Bug("a saga is known by its order alone", ORDER,
        "            id: SagaID(order: draft.key.id, incarnation: order.incarnation, attempt: order.attempt),\n            legs: order.legs",
        "            id: SagaID(order: draft.key.id, incarnation: 0, attempt: 1),\n            legs: order.legs"),
    Bug("a saga does not know the order's incarnation", ORDER,
        "            id: SagaID(order: draft.key.id, incarnation: order.incarnation, attempt: order.attempt),\n            legs: order.legs",
        "            id: SagaID(order: draft.key.id, incarnation: 0, attempt: order.attempt),\n            legs: order.legs"),
    # The saga.
    Bug("a checkout commits before all is held", SAGA, "if legs.allSatisfy({ $0 == .held }) { return ask(.decide(.commit), now: now) }",
        "if legs.contains(where: { $0 == .held }) { return ask(.decide(.commit), now: now) }"),
    Bug("compensation ends after the first release", SAGA,
        "        guard legs.allSatisfy({ $0 == .settled }) else { return [] }\n        switch record.phase {",
        "        guard legs.allSatisfy({ $0 == .settled }) || record.phase != .committed else { return [] }\n        switch record.phase {"),
    Bug("only legs that were held are released", SAGA,
        "        return legs.indices.map { send($0, step, now: now) }\n    }\n\n    /// Asks whether",
        "        return legs.indices.filter { legs[$0] != .idle || step == .capture || $0 == 0 }.map { send($0, step, now: now) }\n    }\n\n    /// Asks whether"),
    Bug("nothing of a saga is sent twice", SAGA,
        "for leg in legs.indices where isOverdue(leg, now: now) { actions.append(send(leg, settlingStep, now: now)) }",
        "_ = legs"),
    # The services.
    Bug("a refusal is told to those who joined after it", SERVICE + "Checkout/CheckoutCoordinator.swift",
        "            !caller.hasJoined && (result != .paid ||", "            (result != .paid ||"),
    Bug("a conflict counts as committed", SERVICE + "Engine/Engine.swift",
        "            case .conflict: conflicting.append(entry)\n", "            case .conflict: entry.reply(entry.decision)\n"),
    Bug("an unknown commit is settled by a look", SERVICE + "Engine/UnknownCommits.swift",
        "        if due.isEmpty { agenda.add { self.fenceAll() } }\n        due.append(Case(unsettled, completion: completion))",
        "        store.load([ReadSet(unsettled.group)]) {\n            completion((try? $0.first?.get().version) == unsettled.landed ? .landed : .neverLands)\n        }"),
    Bug("answers leave before the barrier", SERVICE + "Shop/Shop.swift",
        "        parts.store.barrier { [sink, transport, router = parts.router] result in\n", "        let router = parts.router; let result = Result<Void, DurabilityError>.success(()); do {\n"),
    Bug("what a crash left is not settled", SERVICE + "Recovery/Recovery.swift",
        "            orphans.append(Orphan(account: key.group, saga: saga, hold: hold))\n", "            break\n"),
    Bug("open sagas are not resumed", SERVICE + "Recovery/Recovery.swift", "            shop.orders.coordinator.drive(saga)\n", "            break\n"),
    Bug("nobody takes over what another process left", SERVICE + "Recovery/Takeover.swift", "            coordinator.drive(saga)\n", "            break\n"),
    Bug("a saga is taken over from a process that lives", SERVICE + "Recovery/Takeover.swift",
        "take(found.filter { heartbeats.isSilent($0.writer) })", "take(found)"),
    Bug("a process that has died is never silent", SERVICE + "Recovery/Heartbeats.swift",
        "        return seen.read - seen.changed >= Limits.takeoverAgeMilliseconds\n            ||", "        return"),
    Bug("who saw no participant blames the others for it", SERVICE + "Recovery/Takeover.swift",
        "        if !couldDrive { watched = [:] }\n", ""),
    Bug("an abandoned saga waits until its deadline by another clock", SERVICE + "Checkout/CheckoutCoordinator.swift",
        "return min(record.deadline - wall + slack, Limits.abandonedSagaMilliseconds)",
        "return min(record.deadline - wall, Limits.longestDeadlineMilliseconds)"),
    Bug("pauses between copies double without a bound", "Sources/KontorCore/Saga/ResendPause.swift",
        "min(longestResendMilliseconds, resendMilliseconds << Int64(min(tries, 16) - 1))",
        "resendMilliseconds << Int64(min(tries, 16) - 1)"),
    Bug("a hold has no slack for a clock that is ahead", "Sources/KontorCore/Ledger/Account.swift",
        "public static func isExpired(_ expiry: Int64, now: Int64) -> Bool { expiry < now - Limits.clockSkewMilliseconds }",
        "public static func isExpired(_ expiry: Int64, now: Int64) -> Bool { expiry < now }"),
    Bug("checkouts begin while a participant's store fills up", SERVICE + "Shop/Admission.swift",
        "            if let error = parts.router.admissionOfPeers {", "            if parts.router.unreachable.count > 9, let error = parts.router.admissionOfPeers {"),
    Bug("a hold that came late is never undone", SERVICE + "Recovery/OrphanScan.swift",
        "        case .held where now > hold.expiry || isAbsurd(hold.expiry, now: now): break\n", ""),
    Bug("an instance whose store has failed goes on", SERVICE + "Runner/ShopRunner.swift",
        "        if let failure = instance.store.failure { return beginAnew(because: failure) }\n", ""),
    # Refunds.
    Bug("a duplicate of a credit credits again", REFUND + "LedgerRefundRules.swift",
        "        if var marker = draft.marker(id) {\n            if marker.amount", "        if var marker = draft.marker(id), draft.now == nil {\n            if marker.amount"),
    Bug("more is refunded than was bought", REFUND + "OrderRefundRules.swift",
        "min(left, lines[index].units - lines[index].refunded)", "min(left, lines[index].units)"),
    Bug("a credit's marker goes too early", REFUND + "LedgerRefundRules.swift",
        "        if let now = draft.now {\n            marker.isForgotten", "        if let now = draft.now, now < 0 {\n            marker.isForgotten"),
    Bug("a refund is finished before its credits are acknowledged", REFUND + "RefundSaga.swift",
        "return states.allSatisfy { $0 == .credited } ? ask(.finish) : []", "return ask(.finish)"),
    Bug("credits are not sent again", REFUND + "RefundSaga.swift",
        "        for leg in legs.indices where isDue(leg, now: now) { actions.append(credit(leg, confirmed: asked, now: now)) }\n", "        _ = asked\n"),
    Bug("the refunds of an order have one number", REFUND + "OrderRefundRules.swift",
        "        order.refunds += 1\n", "        order.refunds = 1\n"),
    Bug("a refund that is repeated under its key is another one", "Sources/KontorCore/Order/OrderRules.swift",
        ", (.refund, .beginRefund): true", ": true"),
    Bug("an order is refunded while its captures are on their way", REFUND + "OrderRefundRules.swift",
        "        case .paid where isSettling: return .refused(.isCheckingOut)\n", ""),
    Bug("batch_init replaces an order in the midst of its refund", ORDER,
        "            if hasOpenRefund(old, draft) { return .isCheckingOut }\n", ""),
    Bug("a refunded order is said to be paid again", ORDER,
        "order.isRefunded ? .isRefunded : .alreadyPaid", ".alreadyPaid"),
    Bug("open refunds are not resumed", SERVICE + "Recovery/Recovery.swift", "            shop.orders.refunds.drive(refund)\n", "            break\n"),
    Bug("nobody takes over a refund that another process left", SERVICE + "Recovery/Takeover.swift", "            refunds.drive(refund)\n", "            break\n"),
    Bug("who drives refunds shows no heartbeat", SERVICE + "Recovery/Takeover.swift",
        "coordinator.openCount + refunds.openCount > 0", "coordinator.openCount > 0"),
    Bug("a marker whose end was lost is never let go", SERVICE + "Recovery/OrphanScan.swift",
        "for credit in page.compactMap(dueCredit) {", "for credit in page.prefix(0).compactMap(dueCredit) {"),
    Bug("a credit has no slack for a clock that is ahead", REFUND + "Refund.swift",
        "Hold.isExpired(expiry, now: now) || expiry > latestExpiry(now: now)", "Hold.isExpired(expiry, now: now) || expiry > self.expiry(confirmed: now)"),
    # The embedded store.
    Bug("an answer does not wait for the sync", EMBEDDED + "Journal/GroupCommit.swift",
        "            waiters.append(completion)\n        } else if", "            completion(.success(()))\n        } else if"),
    Bug("a frame is not synced", EMBEDDED + "Journal/JournalWriter.swift", "            try file.sync()\n            syncSeconds?", "            syncSeconds?"),
    Bug("the next segment's name is not synced", EMBEDDED + "Journal/JournalWriter.swift",
        "        try directory.sync()\n"
        "        if let newest {\n"
        "            if newest != first { try files.rename(paths.newest(newest), to: paths.newest(first)) }\n"
        "        } else {\n"
        "            _ = try files.open(paths.newest(first), .create)\n"
        "        }\n"
        "        newest = first\n"
        "        try directory.sync()\n",
        "        newest = first\n"),
    Bug("a start appends to the segment that it found", EMBEDDED + "Journal/JournalWriter.swift",
        "        let isEmpty = end.lastFrame.isEmpty\n",
        "        let isEmpty = end.lastFrame.isEmpty\n"
        "        if !isEmpty {\n"
        "            let found = try files.open(paths.segment(end.segment), .append)\n"
        "            try found.truncate(to: end.goodBytes)\n"
        "            try found.sync()\n"
        "            (file, size) = (found, end.goodBytes)\n"
        "            return\n"
        "        }\n"),
    Bug("nobody misses the newest segment", EMBEDDED + "Journal/JournalReader.swift", "newest > all.last ?? 0", "newest > all.last ?? .max, newest > .max - 1"),
    Bug("a failed sync is forgotten", EMBEDDED + "Journal/GroupCommit.swift",
        "            case .failure(let error): self.fail(\"the journal: \\(error)\")\n",
        "            case .failure:\n"
        "                self.isInFlight = false\n"
        "                self.sealed.popFirst()?.waiters.forEach { $0(.success(())) }\n"),
    Bug("a segment is deleted too early", EMBEDDED + "Fold/FoldWorker.swift", "where segment < position.segment {", "where segment <= position.segment {"),
    Bug("the journal is deleted in spite of a checkpoint that failed", EMBEDDED + "Fold/FoldWorker.swift",
        "guard try table.checkpoint() else { return .success(false) }", "_ = try table.checkpoint()"),
    # What the gateway sends twice, leases, and keys of what has no effect.
    Bug("a second copy that is refused leaves no tombstone (A1)", SERVICE + "Keys/RepeatedCopies.swift",
        "guard !keyed.request.isBatchInit else { return answer(result) }",
        "guard keyed.request.isBatchInit else { return answer(result) }"),
    Bug("a checkout's first copy does not look for the tombstone (A1)", SERVICE + "Checkout/CheckoutCoordinator.swift",
        "orders.submit(command, keyed: first.keyed) { [self] reply in",
        "orders.submit(command, keyed: first.keyed?.claim == nil ? nil : first.keyed) { [self] reply in"),
    Bug("a checkout is refused though the first copy has begun it since (A1)", ORDER,
        "            if let saga = draft.saga { return .running(saga) }\n"
        "            return draft.order?.status == .paid && draft.order?.isRefunded == false ? .alreadyPaid : .done",
        "            return .done"),
    Bug("a copy is decided however late it is (A2)", "Sources/KontorCore/Keys/KeyedWrite.swift",
        "        if now >= latest { return .late }\n", ""),
    Bug("the id of an unkeyed write is not kept with its effect (A2)", SERVICE + "Keys/KeyedRequest.swift",
        "keepsRequest: !isCheckout, latest", "keepsRequest: false, latest"),
    Bug("a success without an effect keeps no key (A4)", ORDER,
        "        case (.done, _), (.alreadyPaid, .begin), (.refund", "        case (.done, _), (.refund"),
    Bug("a checkout that joins keeps no key of its own (A4)", SERVICE + "Checkout/CheckoutCoordinator.swift",
        "            return saga.phase == .committed && claim.key == saga.claim?.key", "            return true"),
    Bug("a lease is taken though another process holds it (A5, F3)", "Sources/KontorCore/Keys/Lease.swift",
        "        if case .key(let kept)? = record { return kept.expires <= now }\n", ""),
    Bug("a second copy at the process of the first one is refused (A11)", SERVICE + "Keys/IdempotencyGate.swift",
        "if let stamp = name.stamp, stamp.id == present.stamp?.id {", "if let stamp = name.stamp, stamp.id == present.stamp?.id, stamp.sent < 0 {"),
    Bug("a record that cannot be read fails its whole batch (F9)", SERVICE + "Engine/Engine.swift",
        "            if !failed.isEmpty, let error = failed[readSets[first].group] {\n",
        "            let unreadable = outcomes.lazy.compactMap { outcome -> StoreError? in\n"
        "                if case .failure(let error) = outcome { error } else { nil }\n"
        "            }\n"
        "            if let error = unreadable.first {\n"
        "                entry.refuse(error)\n"
        "            } else if !failed.isEmpty, let error = failed[readSets[first].group] {\n"),
    Bug("what is asked again is sent to those who cannot be reached, too (F20)", SAGA,
        "                && (unreachable.isEmpty || !unreachable.contains(record.legs[leg].account.kind))\n", ""),
    Bug("of a step that is repeated while it waits each copy is decided (F4)", SERVICE + "Engine/Engine.swift",
        "        if repeated != nil, let name = R.name(of: command), repeated?.updateValue(reply, forKey: name) != nil { return }\n", ""),
    Bug("another process's lock on the table does not pass (B6)", EMBEDDED + "Store/EmbeddedError.swift",
        ".busy, .system(_, _, EMFILE), .system(_, _, ENFILE), .system(_, _, ENOMEM): true\n        case .system,",
        ".system(_, _, EMFILE), .system(_, _, ENFILE), .system(_, _, ENOMEM): true\n        case .busy, .system,"),
    Bug("a full disk's table is not checkpointed (B4)", EMBEDDED + "Fold/FoldPlan.swift",
        " || shortage != nil) { return .checkpoint }", ") { return .checkpoint }"),
    Bug("a write is done without its entry in the audit trail", "Sources/KontorCore/Keys/KeyedWrite.swift",
        "            if let trail = keyed.trail { draft.keep(trail) }\n", ""),
    Bug("what is refused leaves an entry in the audit trail", "Sources/KontorCore/Keys/KeyedWrite.swift",
        "        let outcome = decide(command, on: &draft)\n",
        "        if let trail = keyed.trail { draft.keep(trail) }\n        let outcome = decide(command, on: &draft)\n"),
    # Lists.
    Bug("an order is created and not listed", ORDER,
        "        draft.order = order\n        draft.list(order.listEntry)\n", "        draft.order = order\n"),
    Bug("an order that is replaced stays listed where it was", "Sources/KontorCore/Lists/ListEntry.swift",
        "        if let old, old != entry { self[.listed(old)] = nil }\n", ""),
    Bug("a page goes on behind all orders of its last millisecond", "Sources/KontorCore/Format/IndexCoding.swift",
        "        writer.newestFirst(created)\n        writer.text(id.text)\n        return writer.bytes",
        "        writer.newestFirst(created)\n        return writer.bytes + [IndexTag.behind]"),
    Bug("an item is replaced and not listed, although it is new", LEDGER,
        " else { draft.list(.account) }", ""),
    Bug("a list does not show what is not folded", EMBEDDED + "Store/EmbeddedStore.swift",
        "        let tail = cache.indexTail\n", "        let tail: [IndexChunk] = []\n"),
    Bug("a page ends where one of its places ends, and goes on nowhere", EMBEDDED + "Table/IndexRead.swift",
        "        let horizon = found.compactMap { $0.count > bound ? $0.last?.key : nil }\n            .min { $0.lexicographicallyPrecedes($1) }\n",
        "        let horizon: [UInt8]? = nil\n"),
    Bug("an older store is listed before its journal is in the table", EMBEDDED + "Fold/ListCompletion.swift",
        " && foldedThrough >= lastOldFrame }", " }"),
    # The shared store, as the simulator has it: what one on Redis must do.
    Bug("what is taken for absent and not written is not compared", SERVICE + "Engine/BatchGroup.swift",
        "GroupChange(expected: version, draft: draft, absent: guesses)",
        "GroupChange(expected: version, draft: draft, absent: guesses.filter(draft.isChanged))"),
    Bug("versions are not compared", "Sources/KontorSimulation/Stores/MemoryStore.swift",
        "guard versions[change.group] ?? .absent == change.expected,", "guard"),
    Bug("a member that was taken for absent is not looked for", "Sources/KontorSimulation/Stores/MemoryStore.swift",
        "            change.absent.allSatisfy({ records[RecordKey(change.group, $0)] == nil })", "            true"),
    Bug("a commit counts that the replica does not have", "Sources/KontorSimulation/Stores/StoreConnection.swift",
        "tell(isConfirmed ? .committed : .unknown(version), latency())", "_ = isConfirmed; tell(.committed, latency())"),
    Bug("what is read need not be on the replica", "Sources/KontorSimulation/Stores/StoreConnection.swift",
        "                if !isConfirmed { return fail(\"not confirmed\", latency()) }\n", "                _ = isConfirmed\n"),
    Bug("a record that cannot be read is taken for absent", "Sources/KontorSimulation/Stores/StoreConnection.swift",
        "                return .failure(.unreadable(\"\\(key.group): \\(key.member)\"))\n",
        "                return .success(LoadedGroup(version: .absent, head: nil, member: nil))\n"),
]
