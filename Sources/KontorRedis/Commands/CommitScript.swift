// The one script: for each group, compare its version, then write. All that it decides is whether a version is the expected one.

import Crypto

/// Runs on the server as one step. A group is written whole or not at all: all are compared before the first write, and nothing between
/// the writes can fail: what Redis may refuse, for lack of memory or of a permission, it refuses at the first write, which is the `MSET`. A call from Lua costs more than most commands
/// do, so what can be is read by one `MGET` and written by one `MSET`.
///
///     KEYS  epoch, the groups' heads, the members that must be new (group by group),
///           then for each group: [index of open work,] the other members
///     ARGV  epoch, number of groups, number of keys to read,
///           then for each group: expected version (empty: absent), mode, head, number of new members, of other ones,
///           then for each member: how, value
///
/// - mode: `v` writes the version in front of the head that is there; `h` writes version and head; `e` the version of a group without
///   a head, for a day. With an `x` behind it the group has an index among its keys.
/// - how: `s` sets, `d` deletes; then `+` adds it to the index, `-` takes it out, `.` does neither; then the milliseconds it stays,
///   or nothing.
///
/// Numbers are written as strings: Lua's are doubles, and printing one costs Redis more than the command. Lists go in parts because
/// Lua's stack ends at 8,000. Of several changes of one group in a call one is written: the others have met another version then.
///
/// Returns a `1` for each group that was written, and a `0` for each that met another version or a member that was to be new.
enum CommitScript {
    /// SHA-1 in hexadecimal: how the server names it.
    static let digest = Insecure.SHA1.hash(data: Array(source.utf8)).map { byte in
        let digits = String(byte, radix: 16)
        return digits.count == 1 ? "0" + digits : digits
    }.joined()

    static let source = """
        local call, sub, byte = redis.call, string.sub, string.byte
        local groups, reads = tonumber(ARGV[2]), tonumber(ARGV[3])
        local found = {}
        for from = 1, reads, 4000 do
          local part = call('MGET', unpack(KEYS, from, math.min(from + 3999, reads)))
          for i = 1, #part do found[from + i - 1] = part[i] end
        end
        if found[1] ~= ARGV[1] then
          return redis.error_reply('EPOCH this is not the store that was initialized')
        end
        local new, k, a, set, rest, done, out = groups + 2, reads + 1, 4, {}, {}, {}, {}
        for g = 1, groups do
          local key, old, mode, head = KEYS[g + 1], found[g + 1] or '', ARGV[a + 1], ARGV[a + 2]
          local news, members = tonumber(ARGV[a + 3]), tonumber(ARGV[a + 3]) + tonumber(ARGV[a + 4])
          local written = not done[key] and sub(old, 1, 16) == ARGV[a]
          for m = new, new + news - 1 do
            if found[m] then written = false end
          end
          local index
          if #mode == 2 then
            index = KEYS[k]
            k = k + 1
          end
          a = a + 5
          if written then
            done[key] = true
            local how = byte(mode)
            if how == 101 then
              rest[#rest + 1] = {'SET', key, head, 'PX', '86400000'}
            else
              if how == 118 then head = head .. sub(old, 17) end
              set[#set + 1] = key
              set[#set + 1] = head
            end
            for m = 0, members - 1 do
              local key, how, value = KEYS[m < news and new + m or k + m - news], ARGV[a + 2 * m], ARGV[a + 2 * m + 1]
              if byte(how) == 100 then
                rest[#rest + 1] = {'DEL', key}
              elseif #how > 2 then
                rest[#rest + 1] = {'SET', key, value, 'PX', sub(how, 3)}
              else
                set[#set + 1] = key
                set[#set + 1] = value
              end
              local open = byte(how, 2)
              if open == 43 then rest[#rest + 1] = {'ZADD', index, '0', key}
              elseif open == 45 then rest[#rest + 1] = {'ZREM', index, key} end
            end
          end
          new = new + news
          k = k + members - news
          a = a + 2 * members
          out[g] = written and '1' or '0'
        end
        for from = 1, #set, 4000 do
          call('MSET', unpack(set, from, math.min(from + 3999, #set)))
        end
        for i = 1, #rest do call(unpack(rest[i])) end
        return table.concat(out)
        """
}
