-- Removes a peer that is enrolled and dead.  Needs remove, and has its keys and arguments.
-- Returns 1 where it was.
if redis.call('EXISTS', KEYS[2]) == 1 or redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then
  return 0
end
return remove()
