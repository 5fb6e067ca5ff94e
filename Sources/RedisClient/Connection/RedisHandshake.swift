// The login: HELLO 3 with everything in it, or AUTH for servers that do not know HELLO. Pure: commands out, replies in.

/// The first commands on each connection, and what their replies mean.
struct RedisHandshake {
    /// What to do next.
    enum Step {
        case send([RedisCommand])
        /// Wait for more replies.
        case wait
        /// The connection is ready.
        case done
        /// Close the connection, for this reason. The text never has the password.
        case failed(String)
    }

    private enum State {
        case hello
        /// The server speaks RESP2. So many replies are missing; the first of them is to `AUTH` if `isAuthMissing`.
        case fallback(missing: Int, isAuthMissing: Bool)
        case ended
    }

    private let user: String?
    private let password: String?
    private let name: String
    private var state = State.hello

    init(_ options: RedisOptions) {
        user = options.user
        password = options.password
        name = options.name
    }

    /// `HELLO 3 [AUTH user password] SETNAME name`
    var opening: RedisCommand {
        let credentials = password.map { ["AUTH", user ?? "default", $0] } ?? []
        return RedisCommand("HELLO", arguments: ["3"] + credentials + ["SETNAME", name])
    }

    /// Takes in the next reply.
    mutating func receive(_ reply: RESPValue) -> Step {
        switch state {
        case .hello:
            guard let error = reply.errorText else { return finish() }
            guard error.hasPrefix("ERR unknown command") || error.hasPrefix("NOPROTO") else { return fail(error) }
            return fallBack()
        case .fallback(let missing, let isAuthMissing):
            if isAuthMissing, let error = reply.errorText { return fail(error) }
            if missing == 1 { return finish() }
            state = .fallback(missing: missing - 1, isAuthMissing: false)
            return .wait
        case .ended: return fail("it answered a question that was not asked")
        }
    }

    /// Logs in by `AUTH` instead of `HELLO`.
    private mutating func fallBack() -> Step {
        var commands: [RedisCommand] = []
        if let password { commands.append(RedisCommand("AUTH", arguments: (user.map { [$0] } ?? []) + [password])) }
        // A server may not know SETNAME. The connection works without a name, so any answer will do.
        commands.append(RedisCommand("CLIENT", "SETNAME", name))
        state = .fallback(missing: commands.count, isAuthMissing: password != nil)
        return .send(commands)
    }

    private mutating func finish() -> Step {
        state = .ended
        return .done
    }

    private mutating func fail(_ error: String) -> Step {
        state = .ended
        return .failed(error)
    }
}
