#!lua
-- Forgets an API key, if it belongs to this namespace, and perhaps those that it made, and those that they made.
-- KEYS  keys of the namespace, records, last uses, makers
-- ARGV  id, whether the keys that come from it go too (0 or 1)
-- Returns the ids of what was forgotten, its own first; none: there is no such key
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return {} end
local gone = {ARGV[1]}
if ARGV[2] == '1' then
  for _, id in ipairs(redis.call('HKEYS', KEYS[1])) do
    local makers = redis.call('HGET', KEYS[4], id)
    if makers and string.find(makers, ARGV[1], 1, true) then gone[#gone + 1] = id end
  end
end
for _, id in ipairs(gone) do
  redis.call('HDEL', KEYS[2], id)
  redis.call('HDEL', KEYS[1], id)
  -- From here on it does not count, whatever becomes of the notes about it.
  redis.pcall('HDEL', KEYS[3], id)
  redis.pcall('HDEL', KEYS[4], id)
end
return gone
