#!lua flags=allow-oom
-- Brings a workflow back from the quarantine. How far it is, nodes find out if that was lost.
-- KEYS  fence, index, parked, delayed, quarantine, finishing, waiting
-- ARGV  epoch, entry, id, record, place
--       entry: in the quarantine; place: for the index
-- USES  stem, types, clock, delay
-- Returns 1, or 0 when another node was faster, or the index says that the workflow is elsewhere: then the copy stays here
local wrong = wrong_type(KEYS)
if wrong then return wrong end
if redis.call('HEXISTS', index, id) == 1 or redis.call('XDEL', quarantine, entry) == 0 then return 0 end
redis.call('HSET', parked, id, record)
redis.call('HSET', index, id, place)
redis.call('ZADD', waiting, 'inf', id)
redis.call('ZADD', finishing, now, id)
delay(delayed, place, 1)
return 1
