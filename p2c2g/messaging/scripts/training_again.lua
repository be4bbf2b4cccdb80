-- Begins another attempt at an order to train.
-- Keys: the order's hash.  Returns the attempt's number, or 0 where the order is gone.
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'state', 'waiting', 'net', '', 'sentence', '')
return redis.call('HINCRBY', KEYS[1], 'attempt', 1)
