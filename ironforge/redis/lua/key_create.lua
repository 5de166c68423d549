#!lua
-- Stores an API key unless its name or its namespace has enough of them. Keys past their expiry do not count.
-- KEYS  records, keys of the namespace (id -> '<expiry ms, or 0>:<name>'), makers
-- ARGV  id, record, name, expiry ms, most per name, most per namespace, now ms, id of the key that makes it ('': none),
--       ids of all keys that it comes from, with commas
-- Returns 'made', 'maker' (it has been revoked), 'name' or 'namespace'
local live, now = 0, tonumber(ARGV[7])
if ARGV[8] ~= '' and redis.call('HEXISTS', KEYS[1], ARGV[8]) == 0 then return 'maker' end
for _, value in ipairs(redis.call('HVALS', KEYS[2])) do
  local expiry, name = string.match(value, '^(%d+):(.*)$')
  if name == ARGV[3] and (expiry == '0' or tonumber(expiry) > now) then live = live + 1 end
end
if live >= tonumber(ARGV[5]) then return 'name' end
if redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[6]) then return 'namespace' end
if ARGV[9] ~= '' then redis.call('HSET', KEYS[3], ARGV[1], ARGV[9]) end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[4] .. ':' .. ARGV[3])
return 'made'
