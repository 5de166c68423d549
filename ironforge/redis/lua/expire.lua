#!lua flags=allow-oom
-- Drops up to 500 dead letters that died too long ago.
-- KEYS  fence, index, dead, parked
-- ARGV  epoch, retention in ms
-- Returns how many
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return redis.error_reply('STALE the fence has moved') end
local wrong = misfits(2, 4)
if wrong then return wrong end
local time = redis.call('TIME')
local limit = time[1] * 1000 + math.floor(time[2] / 1000) - tonumber(ARGV[2])
local ids = redis.call('ZRANGE', KEYS[3], '-inf', limit, 'BYSCORE', 'LIMIT', 0, 500)
for _, id in ipairs(ids) do
  redis.call('ZREM', KEYS[3], id)
  redis.call('HDEL', KEYS[4], id)
  redis.call('HDEL', KEYS[2], id)
end
return #ids
