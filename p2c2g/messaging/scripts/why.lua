-- Tells why a peer is banned, by the hash of all bans and its id: false where it is not.  A reason
-- that is longer than any of ours is not read.
local function why(key, id)
  if redis.call('HSTRLEN', key, id) > 800 then return '' end
  return redis.call('HGET', key, id)
end
