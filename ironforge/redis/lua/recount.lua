#!lua flags=allow-oom
-- Makes the cells of a workflow anew, unless they have changed meanwhile; then what may start, starts.
-- KEYS  fence, index, advance, finishing
-- ARGV  epoch, id, seen, becomes, then the numbers of the nodes that may start
--       seen, becomes: all that `progress` has
-- USES  stem, types, clock, family, progress, flow
-- Returns 1, or 0 where they have
local wrong = wrong_type(KEYS) or wrong_flow(id)
if wrong then return wrong end
local head = live_head(id)
if not head or redis.call('GET', progress_of(id)) ~= seen then return 0 end
redis.call('SET', progress_of(id), becomes)
-- Whether somebody paused it, or the one in front of it holds it back, does not change.
redis.call('SETRANGE', progress_of(id), PAUSED_AT, string.char(head.paused))
head = live_head(id)
for at = 5, #ARGV do
  redis.call('ZADD', advance, now, id .. 'g' .. ARGV[at] .. string.format('.%.0f', head.generation))
end
if head.left == 0 then redis.call('ZADD', finishing, now, id) end
return 1
