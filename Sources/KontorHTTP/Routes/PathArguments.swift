// Reads the arguments of a path: ids, units, money and counts. A refusal says which value it is about, and what is
// accepted.

import KontorCore

/// The arguments of a request's path, each read as what its parameter is. Reading one that is malformed throws a 400.
extension PathSegments {
    var order: Identifier { get throws(Problem) { try identifier(.order) } }
    var item: Identifier { get throws(Problem) { try identifier(.item) } }
    var user: Identifier { get throws(Problem) { try identifier(.user) } }

    /// At least one unit.
    var units: Amount {
        get throws(Problem) {
            let text = text(.units)
            if let amount = Amount.units(text) { return amount }
            throw .malformed("The number of units is not an integer from 1 to \(Limits.unitsPerRequest)", echoing: text)
        }
    }

    /// Money, at least a hundredth.
    var amount: Amount {
        get throws(Problem) {
            let amount = try money(.amount)
            if amount > .zero { return amount }
            throw .malformed(
                "The amount of money, rounded to hundredths, is zero; it must be more", echoing: text(.amount))
        }
    }

    /// Money; something may cost nothing.
    var price: Amount { get throws(Problem) { try money(.price) } }

    /// Money; somebody may have none.
    var credit: Amount { get throws(Problem) { try money(.credit) } }

    /// Units; there may be none.
    var stock: Amount {
        get throws(Problem) {
            if let units = wholeNumber(.stock, in: 0...Limits.unitsPerRequest) { return Amount(units) }
            throw .malformed("The stock is not an integer from 0 to \(Limits.unitsPerRequest)", echoing: text(.stock))
        }
    }

    /// How many records a `batch_init` makes.
    var count: Int {
        get throws(Problem) {
            if let count = wholeNumber(.count, in: 1...Int64(Limits.batchInitRecords)) { return Int(count) }
            throw .malformed("The count is not an integer from 1 to \(Limits.batchInitRecords)", echoing: text(.count))
        }
    }

    /// How many items a `batch_init` of orders picks from.
    var items: Int { get throws(Problem) { try candidates(.items) } }

    /// How many users a `batch_init` of orders picks from.
    var users: Int { get throws(Problem) { try candidates(.users) } }

    private func text(_ parameter: PathParameter) -> String {
        guard let index = parts.firstIndex(where: { $0.parameter == parameter }) else {
            preconditionFailure("A route reads the argument {\(parameter.rawValue)}, which its path does not have.")
        }
        return self[index]
    }

    private func identifier(_ parameter: PathParameter) throws(Problem) -> Identifier {
        let text = text(parameter)
        if let id = Identifier(text) { return id }
        throw .malformed(
            "The \(parameter.rawValue) id is not 1 to \(Limits.identifierBytes) characters of A-Z a-z 0-9 _ . ~ -",
            echoing: text)
    }

    private func money(_ parameter: PathParameter) throws(Problem) -> Amount {
        let text = text(parameter)
        if let amount = Amount.money(text) {
            // Nobody meant it to be nothing.
            if amount > .zero || !text.utf8.contains(where: { $0 > UInt8(ascii: "0") }) { return amount }
            throw .malformed("The amount of money is less than half a hundredth", echoing: text)
        }
        throw .malformed(
            "The amount of money is not a number from 0 to \(Limits.moneyHundredths / 100)", echoing: text)
    }

    private func candidates(_ parameter: PathParameter) throws(Problem) -> Int {
        if let count = wholeNumber(parameter, in: 1...Limits.unitsPerRequest) { return Int(count) }
        throw .malformed(
            "The number of \(parameter.rawValue) is not an integer from 1 to \(Limits.unitsPerRequest)",
            echoing: text(parameter))
    }

    /// nil unless the argument is digits alone, and their number within the bounds.
    private func wholeNumber(_ parameter: PathParameter, in bounds: ClosedRange<Int64>) -> Int64? {
        let text = text(parameter)
        let isPlain = text.utf8.allSatisfy { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
        guard isPlain, let value = Int64(text), bounds.contains(value) else { return nil }
        return value
    }
}
