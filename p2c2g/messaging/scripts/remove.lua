-- Removes a peer; returns 1 where it was enrolled.
-- Keys: peers, beat, own queue, control queue, its bindings, and the heir's queue if any.
-- Arguments: id, instance, binding.
--
-- What waits in its own queue goes to the end of its heir's from which the next message is
-- taken, oldest first; where there is no heir, or it is no list, it is dropped, and so is what
-- is older than the last 256: no queue of ours is as long.
local function remove()
  if KEYS[6] then
    local kind = redis.call('TYPE', KEYS[6]).ok
    if kind == 'list' or kind == 'none' then
      local lifetime = redis.call('PTTL', KEYS[3])
      local waiting = redis.pcall('LLEN', KEYS[3])
      if type(waiting) ~= 'number' then waiting = 0 end
      if waiting > 256 then
        redis.call('LTRIM', KEYS[3], 0, 255)
        waiting = 256
      end
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
end
