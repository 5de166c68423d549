#!lua flags=allow-oom
-- Fences a node whose lease has run out, or that has none, or is known to be dead: from here on it can settle nothing.
-- KEYS  fence, nodes, highest, other_fence
-- ARGV  epoch, node, channel, seen_dead
--       the caller's epoch; the channel tells the node, should it still be alive; seen_dead: 1 when its process was seen
--       to end, so that its lease says nothing, else 0
-- USES  clock
-- Returns 1, or 0 when the node holds a lease after all
local deadline = seen_dead == '0' and redis.call('ZSCORE', nodes, node)
if deadline and tonumber(deadline) > now then return 0 end
redis.call('SET', other_fence, redis.call('INCR', highest), 'EX', 86400)
redis.call('PUBLISH', channel, 'fenced:' .. node)
return 1
