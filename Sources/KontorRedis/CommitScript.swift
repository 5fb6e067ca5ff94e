// The one script: for each group, compare its version, then write. All that it decides is whether a version is the expected one.

import Crypto

/// Runs on the server as one step. A group is written whole or not at all: it is compared before its first write, and nothing between
/// its writes can fail. (Out of memory, Redis refuses a script at its first write.)
///
///     KEYS  epoch, then for each group: head [, index of open work], members ...
///     ARGV  epoch, then for each group: expected version (empty: absent), mode, head, number of members,
///           then for each member: how, value
///
/// - mode: `v` writes the version in front of the head that is there; `h` writes version and head; `e` the version of a group without
///   a head, for a day. With an `x` behind it the index's key is among the group's keys.
/// - how: `s` sets, `n` sets what must not be there, and `d` deletes; then `+` adds it to the index, `-` takes it out, `.` does neither; then the milliseconds it stays,
///   or nothing.
///
/// Numbers are written as strings: Lua's are doubles, and printing one costs Redis more than the command.
///
/// Returns a `1` for each group that was written, and a `0` for each that met another version.
enum CommitScript {
    /// SHA-1 in hexadecimal: how the server names it.
    static let digest = Insecure.SHA1.hash(data: Array(source.utf8)).map { byte in
        let digits = String(byte, radix: 16)
        return digits.count == 1 ? "0" + digits : digits
    }.joined()

    static let source = """
        local call = redis.call
        if call('GET', KEYS[1]) ~= ARGV[1] then
          return redis.error_reply('EPOCH this is not the store that was initialized')
        end
        local k, a, n, out = 2, 2, 0, {}
        while ARGV[a] do
          local head, mode, members = KEYS[k], ARGV[a + 1], tonumber(ARGV[a + 3])
          local written = call('GETRANGE', head, '0', '15') == ARGV[a]
          local index
          k = k + 1
          if #mode == 2 then
            index = KEYS[k]
            k = k + 1
          end
          if written then
            for m = 0, members - 1 do
              if string.byte(ARGV[a + 4 + 2 * m]) == 110 and call('EXISTS', KEYS[k + m]) == 1 then written = false end
            end
          end
          if written then
            local how = string.sub(mode, 1, 1)
            if how == 'h' then call('SET', head, ARGV[a + 2])
            elseif how == 'v' then call('SETRANGE', head, '0', ARGV[a + 2])
            else call('SET', head, ARGV[a + 2], 'PX', '86400000') end
          end
          a = a + 4
          if written then
            for m = 0, members - 1 do
              local key, how = KEYS[k + m], ARGV[a + 2 * m]
              if string.byte(how) == 100 then call('DEL', key)
              elseif #how > 2 then call('SET', key, ARGV[a + 2 * m + 1], 'PX', string.sub(how, 3))
              else call('SET', key, ARGV[a + 2 * m + 1]) end
              local open = string.byte(how, 2)
              if open == 43 then call('ZADD', index, '0', key)
              elseif open == 45 then call('ZREM', index, key) end
            end
          end
          k = k + members
          a = a + 2 * members
          n = n + 1
          out[n] = written and '1' or '0'
        end
        return table.concat(out)
        """
}
