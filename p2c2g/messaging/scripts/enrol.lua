-- Enrols a peer, unless it is banned or another has the name.  Needs why and whose.
-- Keys: peers, beat, banned, and Celery's control bindings where its own is to be there.
-- Arguments: id, instance, beat, its milliseconds, enrolment, binding.
-- Returns whether another has the name, and why the peer is banned (or nothing).
local reason = why(KEYS[3], ARGV[1])
if reason then return {0, reason} end
local holder = whose(KEYS[2])
if holder and holder ~= ARGV[2] then return {1, false} end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[5])
redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4])
if KEYS[4] then redis.pcall('SADD', KEYS[4], ARGV[6]) end
return {0, false}
