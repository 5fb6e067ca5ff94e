// Tokens that were found to be valid lately. Whether they still are is for Credentials to say.

/// Header values with their callers, in bounded memory. It has two generations: when the young one is full, it becomes
/// the old one, and what was left in the old one is forgotten. So what is looked up again and again stays.
struct RememberedTokens {
    /// What was found.
    struct Finding {
        let principal: Principal
        /// Whether a signature showed it, and not a line of the token file.
        let isSigned: Bool
        /// Which rules showed it: see ``Credentials``.
        let generation: Int
    }

    /// What a finding takes besides its text, bytes.
    private static let overheadBytes = 200

    private let bound: Int
    private var young: [String: Finding] = [:]
    private var old: [String: Finding] = [:]
    private var youngBytes = 0

    /// - Parameter bytes: the most that it keeps.
    init(bytes: Int) { bound = bytes }

    /// What was found for the value of a header; nil: it is not remembered.
    mutating func finding(of authorization: String) -> Finding? {
        if let found = young[authorization] { return found }
        guard let found = old.removeValue(forKey: authorization) else { return nil }
        remember(found, of: authorization)
        return found
    }

    /// Remembers what was found, in the place of what was found before.
    mutating func remember(_ finding: Finding, of authorization: String) {
        let bytes = authorization.utf8.count + Self.overheadBytes
        if youngBytes + bytes > bound / 2 {
            old = young
            young = [:]
            youngBytes = 0
        }
        if young.updateValue(finding, forKey: authorization) == nil { youngBytes += bytes }
    }
}
