-- Tells whose a beat is by its key: nobody's where it is gone or cannot be read.  A beat has
-- half the bytes at most that are looked at.
local function whose(key)
  local held = redis.pcall('GETRANGE', key, 0, 4095)
  if type(held) ~= 'string' then return nil end
  local ok, told = pcall(cjson.decode, held)
  if ok and type(told) == 'table' and type(told.instance) == 'string' then
    return told.instance
  end
  return nil
end
