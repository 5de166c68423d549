#!lua
-- Stores an API key unless its name or its namespace has enough of them. Keys past their expiry do not count.
-- KEYS  records, keys of the namespace (id -> '<expiry ms, or 0>:<name>')
-- ARGV  id, record, name, expiry ms, most per name, most per namespace, now ms
-- Returns 'made', 'name' or 'namespace'
local live, now = 0, tonumber(ARGV[7])
for _, value in ipairs(redis.call('HVALS', KEYS[2])) do
  local expiry, name = string.match(value, '^(%d+):(.*)$')
  if name == ARGV[3] and (expiry == '0' or tonumber(expiry) > now) then live = live + 1 end
end
if live >= tonumber(ARGV[5]) then return 'name' end
if redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[6]) then return 'namespace' end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[4] .. ':' .. ARGV[3])
return 'made'
