#!lua flags=allow-oom
-- Brings a record back from the quarantine to the end of its queue.
-- KEYS  fence, index, quarantine, queues, parked, stream, fair, turns
-- ARGV  epoch, entry, id, record, queue, mark
--       entry: in the quarantine; mark: fairness key and weight as the index says them
-- USES  stem, limits, holders, admission, turns, places, lines, enqueue, line_types
-- Returns 1, or 0 when another node was faster, or the index says that the job is elsewhere: then the copy stays here
if redis.call('HEXISTS', index, id) == 1 then return 0 end
local wrong = wrong_mark(string.match(stream, '}:q:(.*)$'), mark)
if wrong then return wrong end
if redis.call('XDEL', quarantine, entry) == 0 then return 0 end
redis.call('SADD', queues, queue)
redis.call('HSET', index, id, enqueue(stream, fair, turns, id, record, mark))
enqueued(parked)
return 1
