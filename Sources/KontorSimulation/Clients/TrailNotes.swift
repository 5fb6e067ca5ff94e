// What the audit trail says of the clients' deposits and withdrawals, in the simulator's words.

import KontorCore
import KontorService

extension TrailNote {
    private static let deposit = "deposit"
    private static let withdrawal = "withdrawal"

    /// The note of a deposit or a withdrawal; nil: the request is another one.
    convenience init?(_ request: ShopRequest) {
        guard case .ledger(let command) = request else { return nil }
        switch command.operation {
        case .deposit(let amount): self.init(Self.deposit, amount)
        case .withdraw(let amount): self.init(Self.withdrawal, amount)
        default: return nil
        }
    }

    private convenience init(_ operation: String, _ amount: Amount) {
        let argument = Argument(name: "amount", value: "\(amount.raw)")
        self.init(principal: "client", address: "", operation: operation, arguments: [argument])
    }

    /// What was put in; negative: taken out.
    var amount: Int64 {
        let amount = arguments.first.flatMap { Int64($0.value) } ?? 0
        return operation == Self.deposit ? amount : -amount
    }
}
