-- Reads a collection to which strangers write, and no more of it than is asked for.
-- Keys: a hash, a set or a sorted set.  Arguments: members at most, bytes of a member at most,
-- bytes of a hash's value at most (0: no values), and those of its fields that are meant (none:
-- all).
-- Returns the members, each followed by its score or value where it has one that was asked for.
-- A longer member is cut to one byte more than allowed; of a longer value its length is told, of
-- one that is not there nothing.  Of too many a hash and a set give some, drawn by the broker,
-- and a sorted set the last.
local key, most, longest, largest = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local kind = redis.call('TYPE', key).ok
local told = {}
if kind == 'zset' then
  local found = redis.call('ZRANGE', key, -most, -1, 'WITHSCORES')
  for i = 1, #found, 2 do
    told[i], told[i + 1] = string.sub(found[i], 1, longest + 1), found[i + 1]
  end
  return told
end
local members = {}
if ARGV[4] then
  for i = 4, #ARGV do members[i - 3] = ARGV[i] end
elseif kind == 'set' then
  members = redis.call('SRANDMEMBER', key, most)
elseif kind == 'hash' and redis.call('HLEN', key) > most then
  members = redis.call('HRANDFIELD', key, most)
elseif kind ~= 'none' then
  members = redis.call('HKEYS', key)
end
for _, member in ipairs(members) do
  told[#told + 1] = string.sub(member, 1, longest + 1)
  if largest > 0 then
    local length = redis.call('HSTRLEN', key, member)
    if length > largest then
      told[#told + 1] = length
    else
      told[#told + 1] = redis.call('HGET', key, member)
    end
  end
end
return told
