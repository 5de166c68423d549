#!lua flags=allow-oom
-- Says how far a workflow is of which that was lost, as it has been found out, unless it was known again meanwhile. What ended
-- while it was found out is heard of after that.
-- KEYS  fence, index, parked, finishing, wake, advance
-- ARGV  epoch, id, seen, becomes, record
--       seen, becomes: all that `progress` has ('': there is none); record: that stands for the workflow
-- USES  stem, types, clock, family, progress, flow
-- Returns 1, or 0 where it was
local wrong = wrong_type(KEYS) or wrong_flow(id)
if wrong then return wrong end
local is_known = string.sub(redis.call('HGET', index, id) or '', 1, 2) ~= 'w:'
if is_known or (redis.call('GET', progress_of(id)) or '') ~= seen then return 0 end
redis.call('SET', progress_of(id), becomes)
redis.call('HSET', parked, id, record)
redis.call('ZADD', wake, now, id)
if read_head(becomes).left == 0 then redis.call('ZADD', finishing, now, id) else redis.call('ZREM', finishing, id) end
redis.call('PUBLISH', stem .. 'signals', 'due:0')
return 1
