// The one script that Redis runs for us: for each group it compares the version, then it writes. Nothing else is
// decided there.

import Crypto

/// Commits changes of groups. Redis runs it as one step, and writes a group whole or not at all: all groups are
/// compared before the first write, and no later write can fail. What Redis may refuse, for lack of memory or of a
/// permission, it refuses at the first write, which is the `MSET`. A call from Lua costs more than most commands do, so
/// as much as possible is read by one `MGET` and written by one `MSET`.
///
///     KEYS  epoch, the groups' heads, the members that must be new (group by group),
///           then for each group: [index of open work,] the other members
///     ARGV  epoch, number of groups, number of keys to read,
///           then for each group: expected version (empty: absent), mode, head, number of new members, of other ones,
///           then for each member: how, value
///
/// - mode: `v` puts the version in front of the head that is there; `h` writes version and head; `e` writes the version
///   of a group without a head, to be kept for a day. An `x` behind it says that the group's index of open work is
///   among its keys.
/// - how: `s` sets the record, `d` deletes it, `n` does neither: the member must only be new; then `+` adds it to the
///   index, `-` takes it out, `.` does neither; then the milliseconds after which Redis deletes it, or nothing. `t`
///   adds the value to the sorted set that the key names, the partition's audit trail; behind `t.` stand the bytes
///   behind which its entries are too old, and some of those go. `l` adds the value to the sorted set that the key
///   names, the partition's lists, and `r` takes it out; what stands behind `l.` or `r.`, too.
///
/// Numbers are passed as strings: Lua's are doubles, and printing one costs Redis more than the command. Lists are
/// unpacked in parts because Lua's stack has room for 8,000 values. If a call has several changes of one group, one of
/// them is written: the others meet another version then.
///
/// Returns a `1` for each group that was written, and a `0` for each that met another version or a member that was to
/// be new.
enum CommitScript {
    /// The SHA-1 of the source in hexadecimal: the script's name on the server.
    static let digest = Insecure.SHA1.hash(data: Array(source.utf8)).map { byte in
        let digits = String(byte, radix: 16)
        return digits.count == 1 ? "0" + digits : digits
    }.joined()

    /// The script in Lua.
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
              local kind = byte(how)
              if kind == 100 then
                rest[#rest + 1] = {'DEL', key}
              elseif kind == 110 then
                -- Only compared.
              elseif kind == 116 then
                rest[#rest + 1] = {'ZADD', key, '0', value}
                local old = call('ZRANGEBYLEX', key, '(' .. sub(how, 3), '+', 'LIMIT', '0', '100')
                if #old > 0 then rest[#rest + 1] = {'ZREM', key, unpack(old)} end
              elseif kind == 108 then
                rest[#rest + 1] = #how > 2 and {'ZADD', key, '0', value, '0', sub(how, 3)} or {'ZADD', key, '0', value}
              elseif kind == 114 then
                rest[#rest + 1] = #how > 2 and {'ZREM', key, value, sub(how, 3)} or {'ZREM', key, value}
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
