-- Moves what was sent with a priority to the end of a queue at which it is read next.
-- Keys: the list of urgent messages, and the queue.  Arguments: messages at most.
-- Returns how many were moved: none where either is no list.
for moved = 0, tonumber(ARGV[1]) - 1 do
  local message = redis.pcall('LMOVE', KEYS[1], KEYS[2], 'RIGHT', 'RIGHT')
  if type(message) ~= 'string' then return moved end
end
return tonumber(ARGV[1])
