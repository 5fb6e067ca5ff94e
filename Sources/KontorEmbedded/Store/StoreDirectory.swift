// What lies in a directory before anything is made in it: a store, nothing, or what belongs to somebody else.

/// The directory that is named as a store's.
struct StoreDirectory {
    private let path: String
    private let files: any FileSystem

    /// Names that an empty directory may have: a start that failed leaves its lock's file, and a new file system has
    /// lost+found.
    private static let harmless: Set = ["lock", "lost+found"]
    /// Names of which a store has one, however early its making was interrupted.
    private static let ours: Set = ["journal", "table.sqlite", "restoring"]

    init(_ path: String, _ files: any FileSystem) {
        self.path = path
        self.files = files
    }

    /// Throws `foreign` if there is something in the directory, and no store.
    func check() throws(EmbeddedError) {
        guard try files.exists(path) else { return }
        if let name = try foreignName(), try Self.ours.isDisjoint(with: files.list(path)) {
            throw .foreign(directory: path, name: name)
        }
    }

    /// The first name that an empty directory does not have; nil if it is empty.
    func foreignName() throws(EmbeddedError) -> String? {
        try files.list(path).filter { !Self.harmless.contains($0) }.min()
    }
}
