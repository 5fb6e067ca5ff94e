// Logging in: HELLO 3 with everything in it, or AUTH for servers that do not know it. Pure: commands out, replies in.

/// The first commands on each connection, and what to make of the replies.
struct RedisHandshake {
    enum Step {
        case send([RedisCommand])
        case wait
        case done
        /// In words for people; never bears the password.
        case failed(String)
    }

    private enum State {
        case hello
        /// Speaking RESP2: replies that are missing, the first of them to `AUTH` if someone logs in.
        case fallback(missing: Int, isAuthMissing: Bool)
        case over
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
        case .over: return fail("it answered a question that was not asked")
        }
    }

    private mutating func fallBack() -> Step {
        var commands: [RedisCommand] = []
        if let password { commands.append(RedisCommand("AUTH", arguments: (user.map { [$0] } ?? []) + [password])) }
        // A server may not know names: whatever it answers to that is good enough.
        commands.append(RedisCommand("CLIENT", "SETNAME", name))
        state = .fallback(missing: commands.count, isAuthMissing: password != nil)
        return .send(commands)
    }

    private mutating func finish() -> Step {
        state = .over
        return .done
    }

    private mutating func fail(_ error: String) -> Step {
        state = .over
        return .failed(error)
    }
}
