-- Moves the message of one task from a list to the end of another at which it is read next.
-- Keys: the two lists.  Arguments: the task's id as msgpack writes it, length first, which is
-- how an envelope's head holds it; seconds that the other list lasts.
-- Returns 1 where the message was there: among the last 64, since no such list of ours is as long.
for _, message in ipairs(redis.call('LRANGE', KEYS[1], 0, 63)) do
  if string.find(message, ARGV[1], 1, true) then
    redis.call('LREM', KEYS[1], -1, message)
    redis.call('RPUSH', KEYS[2], message)
    redis.call('EXPIRE', KEYS[2], ARGV[2])
    return 1
  end
end
return 0
