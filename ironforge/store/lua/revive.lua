#!lua flags=allow-oom
-- Puts one dead job back to the end of its queue.
-- KEYS  index, dead, parked, stream, fair, turns
-- ARGV  id, record seen, new record, fairness key and weight as the index says them
-- Returns 1, or 0 when the job is no longer dead or has died again since
local index, dead, parked, stream, fair, turns = unpack(KEYS)
local id, seen, record, mark = unpack(ARGV)
local wrong = misfits(1, mark == '' and 4 or 6)
if wrong then return wrong end
if redis.call('HGET', index, id) ~= 'd' or redis.call('HGET', parked, id) ~= seen then return 0 end
redis.call('ZREM', dead, id)
redis.call('HDEL', parked, id)
redis.call('HSET', index, id, enqueue(stream, fair, turns, id, record, mark))
enqueued(parked)
return 1
