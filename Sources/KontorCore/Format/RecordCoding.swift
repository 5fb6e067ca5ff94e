// Records as bytes. Every record bears the version of its format, and a release reads what the one before it wrote.

extension Record {
    private enum Tag {
        static let account: UInt8 = 1
        static let hold: UInt8 = 2
        static let payment: UInt8 = 3
        static let order: UInt8 = 4
        static let saga: UInt8 = 5
        static let key: UInt8 = 6
        static let trail: UInt8 = 7
        static let refund: UInt8 = 8
        static let marker: UInt8 = 9
        static let listed: UInt8 = 16
    }

    /// Appends the version of the format, and the record. What the format has no place for is left out.
    ///
    /// - Parameter format: the format that the store is written in.
    public func encode(into writer: inout ByteWriter, in format: RecordFormat = .newest) {
        writer.byte(format.recordVersion)
        switch self {
        case .account(let account):
            writer.byte(Tag.account)
            account.encode(into: &writer, in: format)
        case .hold(let hold):
            writer.byte(Tag.hold)
            writer.amount(hold.amount)
            writer.byte(hold.state.rawValue)
            writer.varint(UInt64(hold.grant))
            writer.fixed(hold.expiry)
            if format >= .four, hold.reservedUntil != 0 { writer.fixed(hold.reservedUntil) }
        case .payment(let payment):
            writer.byte(Tag.payment)
            payment.encode(into: &writer, in: format)
        case .order(let order):
            writer.byte(Tag.order)
            order.encode(into: &writer, in: format)
        case .saga(let saga):
            writer.byte(Tag.saga)
            saga.encode(into: &writer, in: format)
        case .key(let kept):
            writer.byte(Tag.key)
            writer.fixed(kept.expires)
            writer.blob(kept.request)
            if format >= .four, !kept.reference.isEmpty { writer.blob(kept.reference) }
        case .trail(let note):
            writer.byte(Tag.trail)
            note.encode(into: &writer)
        case .refund(let refund):
            writer.byte(Tag.refund)
            refund.encode(into: &writer)
        case .marker(let marker):
            writer.byte(Tag.marker)
            marker.encode(into: &writer)
        case .listed: writer.byte(Tag.listed)
        }
    }

    /// The expiry of the encoded record of an expiring member: wall clock, milliseconds since 1970. Stores read it
    /// without decoding the record. nil: the record does not expire.
    public static func expiry(inEncoded bytes: ArraySlice<UInt8>) -> Int64? {
        var reader = ByteReader(bytes)
        guard (try? reader.byte()) != nil, (try? reader.byte()) == Tag.key else { return nil }
        return try? reader.fixed(Int64.self)
    }

    /// Reads what ``encode(into:)`` wrote, in this release or an earlier one.
    public init(decoding bytes: ArraySlice<UInt8>) throws(FormatError) {
        var reader = ByteReader(bytes)
        let version = try reader.byte()
        guard version <= RecordFormat.newest.recordVersion else { throw .newerFormat(version) }
        let tag = try reader.byte()
        switch tag {
        case Tag.account: self = .account(try Account(from: &reader, version))
        case Tag.hold: self = .hold(try Hold(from: &reader, version))
        case Tag.payment: self = .payment(try DirectPayment(from: &reader, version))
        case Tag.order: self = .order(try Order(from: &reader, version))
        case Tag.saga: self = .saga(try SagaRecord(from: &reader, version))
        case Tag.key:
            let expires = try reader.time()
            let request = Array(try reader.blob())
            // The first stores in format 4 lack it, and most keys need none.
            let reference = version >= 4 && !reader.isAtEnd ? Array(try reader.blob()) : []
            self = .key(KeptKey(request: request, expires: expires, reference: reference))
        case Tag.trail: self = .trail(try TrailNote(from: &reader))
        case Tag.refund: self = .refund(try Refund(from: &reader))
        case Tag.marker: self = .marker(try CreditMarker(from: &reader))
        case Tag.listed: self = .listed
        default: throw .invalid("record tag \(tag)")
        }
        guard reader.isAtEnd else { throw .invalid("bytes behind a record") }
    }
}

extension RecordKey {
    private enum Tag {
        static let head: UInt8 = 1
        static let saga: UInt8 = 2
        static let hold: UInt8 = 3
        static let payment: UInt8 = 4
        static let receipt: UInt8 = 5
        static let key: UInt8 = 6
        static let refund: UInt8 = 7
        static let refunded: UInt8 = 8
    }

    /// Appends the key. Sorted by their bytes, keys of one kind lie side by side, and so do those of one group; those
    /// of the indexes lie behind all others, the newest first.
    public func encode(into writer: inout ByteWriter) {
        if member.isIndexed, encodeInIndex(into: &writer) { return }
        writer.byte(group.kind.rawValue)
        writer.text(group.id.text)
        switch member {
        case .head: writer.byte(Tag.head)
        case .saga: writer.byte(Tag.saga)
        case .hold(let saga):
            writer.byte(Tag.hold)
            writer.sagaID(saga)
        case .payment(let order):
            writer.byte(Tag.payment)
            writer.text(order.text)
        case .receipt(let incarnation):
            writer.byte(Tag.receipt)
            writer.fixed(incarnation)
        case .key(let key):
            writer.byte(Tag.key)
            writer.text(key.text)
        case .refund(let id):
            writer.byte(Tag.refund)
            writer.refundID(id)
        case .refunded(let id):
            writer.byte(Tag.refunded)
            writer.refundID(id)
        case .trail, .listed, .due: break
        }
    }

    /// Reads what ``encode(into:)`` wrote, or a second key of ``indexKeys``.
    public init(decoding bytes: ArraySlice<UInt8>) throws(FormatError) {
        var reader = ByteReader(bytes)
        if let key = try Self.inIndex(&reader) {
            self = key
            if reader.isAtEnd { return }
            throw .invalid("bytes behind a key")
        }
        let group = GroupKey(try reader.raw(GroupKey.Kind.self), try reader.identifier())
        let member: Member
        let tag = try reader.byte()
        switch tag {
        case Tag.head: member = .head
        case Tag.saga: member = .saga
        case Tag.hold: member = .hold(try reader.sagaID())
        case Tag.payment: member = .payment(order: try reader.identifier())
        case Tag.receipt: member = .receipt(incarnation: try reader.fixed(UInt64.self))
        case Tag.key: member = .key(try reader.idempotencyKey())
        case Tag.refund: member = .refund(try reader.refundID())
        case Tag.refunded: member = .refunded(try reader.refundID())
        default: throw .invalid("member tag \(tag)")
        }
        guard reader.isAtEnd else { throw .invalid("bytes behind a key") }
        self.init(group, member)
    }
}

extension Account {
    func encode(into writer: inout ByteWriter, in format: RecordFormat) {
        for amount in [balance, held, deposited, withdrawn, captured, price] { writer.amount(amount) }
        writer.varint(UInt64(generation))
        writer.varint(UInt64(grants))
        guard format >= .four else { return }
        writer.byte(mayHavePayments ? 1 : 0)
        // Few accounts have refunds, or reservations.
        guard refunded != .zero || openRefunds != 0 || reserved != .zero else { return }
        writer.amount(refunded)
        writer.varint(UInt64(openRefunds))
        guard reserved != .zero else { return }
        writer.amount(reserved)
        writer.varint(UInt64(reservedUntil))
    }

    init(from reader: inout ByteReader, _ version: UInt8) throws(FormatError) {
        self.init()
        balance = try reader.amount()
        held = try reader.amount()
        deposited = try reader.amount()
        withdrawn = try reader.amount()
        captured = try reader.amount(in: 0...Limits.refundedTotal)
        price = try reader.amount()
        generation = try reader.uint32()
        if version >= 3 { grants = try reader.uint32() }
        mayHavePayments = version >= 4 ? try reader.flag() : true
        guard version >= 4, !reader.isAtEnd else { return }
        refunded = try reader.amount(in: 0...Limits.refundedTotal)
        openRefunds = UInt32(try reader.count(atMost: Limits.accountRefunds))
        if reader.isAtEnd { return }
        reserved = try reader.amount()
        reservedUntil = try reader.uint32()
    }
}

extension DirectPayment {
    func encode(into writer: inout ByteWriter, in format: RecordFormat) {
        writer.amount(amount)
        writer.byte(isCancelled ? 1 : 0)
        writer.varint(UInt64(generation))
        writer.amount(earlier)
        guard format >= .four else { return }
        writer.byte(incarnation == nil ? 0 : 1)
        if let incarnation { writer.fixed(incarnation) }
    }

    init(from reader: inout ByteReader, _ version: UInt8) throws(FormatError) {
        self.init(
            amount: try reader.amount(), isCancelled: try reader.byte() == 1, generation: try reader.uint32(),
            earlier: try reader.amount())
        if version >= 4, try reader.flag() { incarnation = try reader.fixed(UInt64.self) }
    }
}

extension Hold {
    fileprivate init(from reader: inout ByteReader, _ version: UInt8) throws(FormatError) {
        self.init(amount: try reader.amount(), state: try reader.raw(State.self))
        guard version >= 3 else { return }
        grant = try reader.uint32()
        expiry = try reader.time()
        if version >= 4, !reader.isAtEnd { reservedUntil = try reader.time() }
    }
}

extension Order {
    func encode(into writer: inout ByteWriter, in format: RecordFormat) {
        writer.text(user.text)
        writer.fixed(incarnation)
        writer.varint(UInt64(attempt))
        writer.byte(status.rawValue)
        writer.amount(total)
        writer.varint(UInt64(lines.count))
        for line in lines {
            writer.text(line.item.text)
            writer.amount(line.units)
            writer.amount(line.price)
        }
        writer.blob(history.bytes)
        guard format >= .four else { return }
        writer.fixed(created)
        encodeExtras(into: &writer)
    }

    init(from reader: inout ByteReader, _ version: UInt8) throws(FormatError) {
        self.init(user: try reader.identifier(), incarnation: try reader.fixed(UInt64.self))
        attempt = try reader.uint32()
        status = try reader.raw(Status.self)
        total = try reader.amount()
        for _ in 0..<(try reader.count(atMost: Limits.orderLines)) {
            let item = try reader.identifier()
            let units = try reader.amount(in: 1...Limits.balance)
            lines.append(OrderLine(item: item, units: units, price: try reader.amount(in: 0...Limits.moneyHundredths)))
        }
        guard version >= 2 else { return }
        history = History(bytes: Array(try reader.blob()))
        guard version >= 5 else { return }
        created = try reader.time()
        while !reader.isAtEnd { try readExtra(from: &reader) }
        if status == .reserved, reservation == nil { throw .invalid("a reserved order without its reservation") }
    }
}

extension SagaRecord {
    func encode(into writer: inout ByteWriter, in format: RecordFormat) {
        writer.sagaID(id)
        writer.fixed(deadline)
        writer.fixed(begun)
        writer.byte(claim == nil ? 0 : 1)
        claim?.encode(into: &writer)
        writer.legs(legs)
        switch phase {
        case .holdingTogether: writer.byte(1)
        case .holdingInOrder: writer.byte(2)
        case .retrying: writer.byte(3)
        case .committed: writer.byte(4)
        case .aborted(let reason):
            writer.byte(5)
            reason.encode(into: &writer)
        case .reserved: writer.byte(6)
        }
        writer.varint(UInt64(grants.count))
        for grant in grants { writer.varint(UInt64(grant)) }
        if format >= .four { encodeReservation(into: &writer) }
    }

    init(from reader: inout ByteReader, _ version: UInt8) throws(FormatError) {
        let id = try reader.sagaID()
        let deadline = try reader.time()
        let begun = version >= 2 ? try reader.time() : deadline - Limits.deadlineMilliseconds
        let isKeyed = version >= 2 ? try reader.byte() == 1 : false
        let claim = isKeyed ? try KeyClaim(from: &reader) : nil
        let legs = try reader.legs()
        if legs.isEmpty { throw .invalid("a saga without legs") }
        let phase: Phase
        switch try reader.byte() {
        case 1: phase = .holdingTogether
        case 2: phase = .holdingInOrder
        case 3: phase = .retrying
        case 4: phase = .committed
        case 5: phase = .aborted(try AbortReason(from: &reader))
        case 6: phase = .reserved
        default: throw .invalid("saga phase")
        }
        var grants: [UInt32] = []
        if version >= 3 {
            for _ in 0..<(try reader.count(atMost: legs.count)) { grants.append(try reader.uint32()) }
        }
        let (found, until) = version >= 5 ? try Self.reservation(from: &reader) : (nil, nil)
        self.init(
            id: id, legs: legs, phase: phase, begun: begun, deadline: deadline, claim: claim, found: found,
            reservesUntil: until)
        self.grants = grants
    }
}

extension KeyClaim {
    fileprivate func encode(into writer: inout ByteWriter) {
        writer.text(key.text)
        writer.blob(request)
        writer.fixed(expires)
    }

    fileprivate init(from reader: inout ByteReader) throws(FormatError) {
        self.init(
            key: try reader.idempotencyKey(), request: Array(try reader.blob()), expires: try reader.time())
    }
}

extension AbortReason {
    func encode(into writer: inout ByteWriter) {
        switch self {
        case .insufficient(let account, let wanted, let left):
            writer.byte(1)
            writer.groupKey(account)
            writer.amount(wanted)
            writer.amount(left)
        case .unknownAccount(let account):
            writer.byte(2)
            writer.groupKey(account)
        case .contended(let account):
            writer.byte(3)
            writer.groupKey(account)
        case .unreachable(let account):
            writer.byte(4)
            writer.groupKey(account)
        case .anomaly(let account, let anomaly):
            writer.byte(5)
            writer.groupKey(account)
            writer.byte(anomaly.rawValue)
        // To a release that does not know this reason it is contention, of a checkout with its own order.
        case .paidDirectly(let order):
            writer.byte(3)
            writer.groupKey(GroupKey(.order, order))
        case .reserved(let account, let until):
            writer.byte(6)
            writer.groupKey(account)
            writer.fixed(until)
        case .reservationEnded(let isExpired):
            writer.byte(7)
            writer.byte(isExpired ? 1 : 0)
        }
    }

    init(from reader: inout ByteReader) throws(FormatError) {
        let tag = try reader.byte()
        if tag == 7 {
            self = .reservationEnded(isExpired: try reader.flag())
            return
        }
        let account = try reader.groupKey()
        switch tag {
        case 1: self = .insufficient(account: account, wanted: try reader.amount(), left: try reader.amount())
        case 2: self = .unknownAccount(account)
        case 3 where account.kind == .order: self = .paidDirectly(order: account.id)
        case 3: self = .contended(account: account)
        case 4: self = .unreachable(account: account)
        case 5: self = .anomaly(account: account, try reader.raw(Anomaly.self))
        case 6: self = .reserved(account: account, until: try reader.time())
        default: throw .invalid("abort reason \(tag)")
        }
    }
}
