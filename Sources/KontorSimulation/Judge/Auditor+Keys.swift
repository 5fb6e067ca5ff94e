// What the auditor asks of idempotency keys, and of `batch_init`, which processes must not do at the same time.

extension Auditor {
    /// Checks that the items have the prices of one `batch_init`, and that none was done twice under one key. Nothing
    /// else changes a price.
    func judgeBatchInits() {
        let inits = history.actions.filter { if case .initItems = $0.wish { true } else { false } }
        let isCertain = inits.allSatisfy { action in action.attempts.allSatisfy { $0.told != .nothing } }
        let counts = inits.compactMap { if case .initItems(let count, _, _) = $0.wish { count } else { nil } }
        let prices = Set((0..<(counts.min() ?? 0)).compactMap { final.accounts["item \($0)"]?.price })
        if isCertain, prices.count > 1 { violation("items have the prices \(prices.sorted()) of several batch_inits") }
        for action in history.actions where action.key != nil {
            let times = action.attempts.count { ($0.told == .done && !$0.isReplay && action.wish.isBatchInit) || $0.isDoneLate }
            if times > 1 { violation("\(action.title): a batch_init was done \(times) times under one key") }
        }
    }

    /// Checks that a key has one answer, and that a success behind another one says that it repeats it: it must have no
    /// effect of its own, whatever has changed.
    func judgeReplays(of action: Action) {
        guard action.key != nil else {
            for attempt in action.attempts {
                if case .refused(.key) = attempt.told {
                    violation("\(action.title): without a key it was told \(attempt.told)")
                }
            }
            return
        }
        let firstEffect = action.attempts.filter { $0.told.isEffect }.compactMap(\.answered).min() ?? .max
        for attempt in action.attempts where attempt.told.isEffect && attempt.asked > firstEffect && !attempt.isReplay {
            violation("\(action.title): its effect was acknowledged, and then it was done again")
        }
        let effects = Set(action.attempts.map(\.told).filter(\.isEffect))
        if effects.count > 1 { violation("\(action.title): under one key it was told \(effects.count) different things") }
        guard let done = action.attempts.firstIndex(where: { $0.told.isEffect }) else { return }
        let begun = action.attempts[done].asked
        let replacements: [Action] =
            switch action.wish {
            case .checkout(let order), .reserve(let order, _), .giveBack(let order): self.replacements(of: order)
            case .cancelPayment(let user, _): self.replacements(ofUser: user)
            default: []
            }
        for attempt in action.attempts[(done + 1)...] where attempt.told.isRefusedForGood {
            if replacements.contains(where: { $0.last > begun && $0.first < attempt.answered ?? .max }) { continue }
            violation("\(action.title): its effect was acknowledged, and then it was told \(attempt.told)")
        }
    }
}
