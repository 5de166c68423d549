#!lua flags=allow-oom
-- Brings a record back from the quarantine to the end of its queue.
-- KEYS  fence, index, quarantine, queues, parked, stream, fair, turns
-- ARGV  epoch, entry in the quarantine, id, record, queue, fairness key and weight as the index says them
-- Returns 1, or 0 when another node was faster, or the index says that the job is elsewhere: then the copy stays here
local fence, index, quarantine, queues, parked, stream, fair, turns = unpack(KEYS)
local epoch, entry, id, record, queue, mark = unpack(ARGV)
if redis.pcall('GET', fence) ~= epoch then return redis.error_reply('STALE the fence has moved') end
local wrong = misfits(2, 3) or misfits(5, mark == '' and 6 or 8)
if wrong then return wrong end
if redis.call('HEXISTS', index, id) == 1 then return 0 end
if redis.call('XDEL', quarantine, entry) == 0 then return 0 end
redis.pcall('SADD', queues, queue)
redis.call('HSET', index, id, enqueue(stream, fair, turns, id, record, mark))
enqueued(parked)
return 1
