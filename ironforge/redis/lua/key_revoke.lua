#!lua
-- Forgets an API key, if it belongs to this namespace, and perhaps those that it made, and those that they made.
-- KEYS  of, records, used, makers
-- ARGV  id, children
--       children: whether the keys that come from it go too (0 or 1)
-- Returns the ids of what was forgotten, its own first; none: there is no such key
if redis.call('HEXISTS', of, id) == 0 then return {} end
local gone = {id}
if children == '1' then
  for _, other in ipairs(redis.call('HKEYS', of)) do
    local above = redis.call('HGET', makers, other)
    if above and string.find(above, id, 1, true) then gone[#gone + 1] = other end
  end
end
for _, key in ipairs({records, of, used, makers}) do redis.call('HDEL', key, unpack(gone)) end
return gone
