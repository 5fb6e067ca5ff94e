// Names that tests give to accounts, orders and sagas. One that cannot be is a mistake in the test, and ends it.

import KontorCore

/// The identifier with this text. Traps if there is none: a test that goes on with another id would prove something
/// else.
public func id(_ text: String) -> Identifier {
    guard let id = Identifier(text) else { preconditionFailure("A test uses \"\(text)\", which is no identifier.") }
    return id
}

/// The group of an item that is named by a number.
public func item(_ number: Int) -> GroupKey { GroupKey(.item, Identifier(number: number)) }

/// The first attempt of an order that is named by a number.
public func saga(_ number: Int) -> SagaID { SagaID(order: Identifier(number: number), incarnation: 5, attempt: 1) }
