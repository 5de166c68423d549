#!lua flags=allow-oom
-- Puts one dead job back to the end of its queue.
-- KEYS  index, dead, parked, queues, stream, fair, turns, then where a queue has a limit all streams and all that waits in it
-- ARGV  id, seen, record, mark, queue, most, limit
--       the record that was seen, and the new one; mark: fairness key and weight as the index says them; most names of
--       queues; limit: most jobs of a queue (0: none)
-- USES  stem, limits, holders, admission, turns, places, lines, enqueue, line_types, pending, unique, family
-- Returns 1, or 0 when the job is no longer dead or has died again since, or {'queues', names in use, names to add,
--         limit}: its queue was forgotten meanwhile, and there is no room for its name, or {'full', queue, jobs in it,
--         jobs to add, limit}, or {'duplicate', id of the job that has its unique key now,
--         letter of its place}
if redis.call('HGET', index, id) ~= 'd' or redis.call('HGET', parked, id) ~= seen then return 0 end
local length = 0
for at = 8, #KEYS do
  length = length + redis.call(string.find(KEYS[at], '}:q:', 1, true) and 'XLEN' or 'ZCARD', KEYS[at])
end
if tonumber(limit) > 0 and length >= tonumber(limit) then return {'full', queue, length, 1, tonumber(limit)} end
local other, take = rival(id, record)
if other then return other.wrong or {'duplicate', other.id, other.letter} end
local wrong = wrong_mark(string.match(stream, '}:q:(.*)$'), mark) or wrong_type({stem .. 'families'})
if wrong then return wrong end
local full = admit(queues, {queue}, tonumber(most))
if full then return full end
take()
leave_children(id, record)
redis.call('ZREM', dead, id)
redis.call('HDEL', parked, id)
revive(id, mark)
redis.call('HSET', index, id, enqueue(stream, fair, turns, id, record, mark))
enqueued(parked)
return 1
