#!lua flags=allow-oom
-- Cancels one job where it was last seen.
-- KEYS  index, scheduled, parked, totals, delayed, bucket, buckets, place, then turns
--       place: the stream that it was seen in, or the zset fair, which turns follows
-- ARGV  channel, id, location, entry, seen, record, seconds, expiry, mark
--       location and entry ('' when in no stream) as they were seen, and the record; the cancelled record ('' to keep
--       none), the bucket's seconds to live and its expiry in ms; its fairness key and its limits as the index says them
-- USES  count, delay, limits, enqueue
-- Returns 'moved' when it is no longer there, 'running' when its node was told, 'cancelled' when it will never run
local turns = KEYS[9]
if redis.call('HGET', index, id) ~= location then return 'moved' end
if entry ~= '' then
  -- An error here says that there is no group: nobody ever served this queue, so nothing of it is running.
  local pending = redis.pcall('XPENDING', place, 'nodes', entry, entry, 1)
  if not pending.err and #pending > 0 then
    redis.call('HSET', index, id, 'c' .. string.sub(location, 2))
    redis.call('PUBLISH', channel, 'cancel:' .. id)
    return 'running'
  end
  if redis.call('XDEL', place, entry) == 0 then return 'moved' end
else
  if redis.call('HGET', parked, id) ~= seen then return 'moved' end
  if redis.call('ZREM', scheduled, id) == 1 then delay(delayed, location, -1) end
  if turns then
    if redis.call('ZREM', place, id) == 1 then give_back(turns, string.match(location, '^%a:[^:]*:%d(:.*)$')) end
    if redis.call('EXISTS', place) == 0 then redis.call('DEL', turns) end
  end
  redis.call('HDEL', parked, id)
end
redis.call('HDEL', index, id)
if is_limited(mark) then
  release(id, mark)
  local queue, waits = string.match(location, '^l:([^:]*:%d)(:.*)$')
  if queue then
    local key = claims_of(waits)[1].key
    redis.call('ZREM', stem .. 'line:' .. queue .. ':' .. key, id)
    redis.call('ZREM', stem .. 'behind:' .. queue, id)
    offer(queue, key)
  end
  enqueued(parked)
end
count(totals, 'cancelled', 1)
if record ~= '' then
  redis.call('HSET', bucket, id, record)
  redis.call('EXPIRE', bucket, seconds, 'NX')
  redis.call('EXPIRE', bucket, seconds, 'GT')
  redis.call('ZADD', buckets, 'GT', expiry, bucket)
end
return 'cancelled'
