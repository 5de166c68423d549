#!lua flags=allow-oom
-- Fences a node whose lease has run out, or that has none, or is known to be dead: from here on it can settle nothing.
-- KEYS  fence of the caller, nodes, epoch, fence of the node
-- ARGV  epoch of the caller, node, channel that tells the node, should it still be alive,
--       1 when its process was seen to end, so that its lease says nothing, else 0
-- Returns 1, or 0 when the node holds a lease after all
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return redis.error_reply('STALE the fence has moved') end
local wrong = misfits(2, 3)
if wrong then return wrong end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local deadline = ARGV[4] == '0' and redis.call('ZSCORE', KEYS[2], ARGV[2])
if deadline and tonumber(deadline) > now then return 0 end
redis.call('SET', KEYS[4], redis.call('INCR', KEYS[3]), 'EX', 86400)
redis.call('PUBLISH', ARGV[3], 'fenced:' .. ARGV[2])
return 1
