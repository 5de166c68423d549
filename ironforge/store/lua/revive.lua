#!lua flags=allow-oom
-- Puts one dead job back to the end of its queue.
-- KEYS  index, dead, parked, queues, stream, fair, turns
-- ARGV  id, record seen, new record, fairness key and weight as the index says them, queue, most names of queues
-- Returns 1, or 0 when the job is no longer dead or has died again since, or {'queues', names in use, names to add,
--         limit}: its queue was forgotten meanwhile, and there is no room for its name
local index, dead, parked, queues, stream, fair, turns = unpack(KEYS)
local id, seen, record, mark, queue, most = unpack(ARGV)
local wrong = misfits(1, 3) or misfits(5, mark == '' and 5 or 7)
if wrong then return wrong end
if redis.call('HGET', index, id) ~= 'd' or redis.call('HGET', parked, id) ~= seen then return 0 end
local full = admit(queues, {queue}, tonumber(most))
if full then return full end
redis.call('ZREM', dead, id)
redis.call('HDEL', parked, id)
redis.call('HSET', index, id, enqueue(stream, fair, turns, id, record, mark))
enqueued(parked)
return 1
