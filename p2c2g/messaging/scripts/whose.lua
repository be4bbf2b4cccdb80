-- Tells whose a beat is by its key: nobody's where it is gone or cannot be read.
local function whose(key)
  local held = redis.pcall('GET', key)
  if type(held) ~= 'string' then return nil end
  local ok, told = pcall(cjson.decode, held)
  if ok and type(told) == 'table' and type(told.instance) == 'string' then
    return told.instance
  end
  return nil
end
