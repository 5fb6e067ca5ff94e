// Why a store is not served from, not initialized, or not read.

/// An error of a whole store, in words for operators.
public struct RedisStoreError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong, and what to do about it.
    public let description: String
    /// Whether it may pass by itself, so that trying again makes sense.
    public let isTransient: Bool

    /// An error that does not pass by itself, unless said otherwise.
    public init(description: String, isTransient: Bool = false) {
        self.description = description
        self.isTransient = isTransient
    }
}
