-- Writes how far a peer is with an order to train, where its attempt still counts.
-- Keys: the order's hash.  Arguments: the attempt, then fields and values.
-- Returns 'wanted', 'superseded' by another attempt, or 'gone'.
if redis.call('EXISTS', KEYS[1]) == 0 then return 'gone' end
if redis.call('HGET', KEYS[1], 'attempt') ~= ARGV[1] then return 'superseded' end
redis.call('HINCRBY', KEYS[1], 'beat', 1)
for i = 2, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
return 'wanted'
