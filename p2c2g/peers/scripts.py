"""What has to happen at the broker in one step, in its own language.

Each runs alone there, so nothing comes between looking and writing.  All take the peers' hash
and the peer's beat as their first keys, and as their first arguments its id and its instance.
"""

from __future__ import annotations

#: Tells whose a beat is: nobody's where it is gone or cannot be read.
_WHOSE = """
local function whose(key)
  local held = redis.pcall('GET', key)
  if type(held) ~= 'string' then return nil end
  local ok, told = pcall(cjson.decode, held)
  if ok and type(told) == 'table' and type(told.instance) == 'string' then
    return told.instance
  end
  return nil
end
"""

#: Keys: peers, beat, banned, and Celery's control bindings where its own is to be there.
#: Arguments: id, instance, beat, its milliseconds, enrolment, binding.
#: Returns whether another has the name, and why the peer is banned (or nothing).
ENROL = f"""{_WHOSE}
local reason = redis.call('HGET', KEYS[3], ARGV[1])
if reason then return {{0, reason}} end
local holder = whose(KEYS[2])
if holder and holder ~= ARGV[2] then return {{1, false}} end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[5])
redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4])
if KEYS[4] then redis.pcall('SADD', KEYS[4], ARGV[6]) end
return {{0, false}}
"""

#: Keys: peers, beat, banned.  Arguments: id, instance, beat, its milliseconds.
#: Returns whether the peer is enrolled, and why it is banned (or nothing).  It looks for the
#: instance in the last beat's text, as our models write it: 16 µs, where reading all of it as
#: JSON took 24, a thousand times a second.
BEAT = """
local reason = redis.call('HGET', KEYS[3], ARGV[1])
if reason then return {0, reason} end
local held = redis.pcall('GET', KEYS[2])
if type(held) ~= 'string'
  or not string.find(held, '"instance":"' .. ARGV[2] .. '"', 1, true)
  or redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then
  return {0, false}
end
redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4])
return {1, false}
"""

#: Removes a peer.  What waits in its own queue goes to the end of its heir's from which the
#: next message is taken, oldest first; where there is no heir, or it is no list, it is dropped.
_REMOVE = """
if KEYS[6] then
  local kind = redis.call('TYPE', KEYS[6]).ok
  if kind == 'list' or kind == 'none' then
    local lifetime = redis.call('PTTL', KEYS[3])
    local waiting = redis.pcall('LLEN', KEYS[3])
    if type(waiting) ~= 'number' then waiting = 0 end
    for _ = 1, waiting do
      redis.call('LMOVE', KEYS[3], KEYS[6], 'LEFT', 'RIGHT')
    end
    -- A queue that was not there would stay for good where nobody reads it.
    if waiting > 0 and kind == 'none' and lifetime > 0 then
      redis.call('PEXPIRE', KEYS[6], lifetime)
    end
  end
end
redis.call('DEL', KEYS[2], KEYS[3], KEYS[4])
redis.pcall('SREM', KEYS[5], ARGV[3])
return redis.call('HDEL', KEYS[1], ARGV[1])
"""

#: Keys: peers, beat, own queue, control queue, its bindings, and the heir's queue if any.
#: Arguments: id, instance (or nothing), the binding.  Does nothing where another has the name.
LEAVE = f"""{_WHOSE}
local holder = whose(KEYS[2])
if ARGV[2] ~= '' and holder and holder ~= ARGV[2] then return 0 end
{_REMOVE}"""

#: As leave, of a peer that is enrolled and dead.  Returns 1 where it was.
SWEEP = f"""
if redis.call('EXISTS', KEYS[2]) == 1 or redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then
  return 0
end
{_REMOVE}"""
