#!lua
-- Stores an API key unless its name or its namespace has enough of them. Keys past their expiry do not count.
-- KEYS  records, of, makers
--       of: the keys of the namespace (id -> '<expiry ms, or 0>:<name>')
-- ARGV  id, record, name, expiry, per_name, per_namespace, now, maker, above
--       per_name, per_namespace: how many keys there may be; maker: id of the key that makes it ('': none); above: ids of
--       all keys that it comes from, with commas
-- Returns 'made', 'maker' (it has been revoked), 'name' or 'namespace'
local live = 0
if maker ~= '' and redis.call('HEXISTS', records, maker) == 0 then return 'maker' end
for _, value in ipairs(redis.call('HVALS', of)) do
  local ends, of_name = string.match(value, '^(%d+):(.*)$')
  if of_name == name and (ends == '0' or tonumber(ends) > tonumber(now)) then live = live + 1 end
end
if live >= tonumber(per_name) then return 'name' end
if redis.call('HLEN', of) >= tonumber(per_namespace) then return 'namespace' end
if above ~= '' then redis.call('HSET', makers, id, above) end
redis.call('HSET', records, id, record)
redis.call('HSET', of, id, expiry .. ':' .. name)
return 'made'
