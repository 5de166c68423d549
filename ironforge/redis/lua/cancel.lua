#!lua flags=allow-oom
-- Cancels one job where it was last seen.
-- KEYS  index, scheduled, parked, totals, delayed, bucket, buckets, then the stream it was seen in, or fair and turns
-- ARGV  channel, id, location seen, entry ('' when in none), record seen, cancelled record ('' to keep none),
--         seconds to live, expiry of the bucket in ms, name of the bucket
-- Returns 'moved' when it is no longer there, 'running' when its node was told, 'cancelled' when it will never run
local index, scheduled, parked, totals, delayed, bucket, buckets, stream, turns = unpack(KEYS)
local wrong = misfits(1, 3) or misfits(8, #KEYS)
if wrong then return wrong end
local channel, id, location, entry, seen, record, seconds, expiry, name = unpack(ARGV)
if redis.call('HGET', index, id) ~= location then return 'moved' end
if entry ~= '' then
  -- An error here says that there is no group: nobody ever served this queue, so nothing of it is running.
  local pending = redis.pcall('XPENDING', stream, 'nodes', entry, entry, 1)
  if not pending.err and #pending > 0 then
    redis.call('HSET', index, id, 'c' .. string.sub(location, 2))
    redis.call('PUBLISH', channel, 'cancel:' .. id)
    return 'running'
  end
  if redis.call('XDEL', stream, entry) == 0 then return 'moved' end
else
  if redis.call('HGET', parked, id) ~= seen then return 'moved' end
  if redis.call('ZREM', scheduled, id) == 1 then delay(delayed, location, -1) end
  if turns then
    redis.call('ZREM', stream, id)
    -- Its key gets the turn back, or it would wait for jobs that never ran.
    local weight, key = string.match(location, ':(%d+):([^:]+)$')
    if weight and redis.call('ZSCORE', turns, key) then redis.call('ZINCRBY', turns, -1 / tonumber(weight), key) end
    if redis.call('EXISTS', stream) == 0 then redis.call('DEL', turns) end
  end
  redis.call('HDEL', parked, id)
end
redis.call('HDEL', index, id)
redis.pcall('HINCRBY', totals, 'cancelled', 1)
if record ~= '' then
  -- Where no record can be kept the job is cancelled all the same.
  redis.pcall('HSET', bucket, id, record)
  redis.call('EXPIRE', bucket, seconds, 'NX')
  redis.call('EXPIRE', bucket, seconds, 'GT')
  redis.pcall('ZADD', buckets, 'GT', expiry, name)
end
return 'cancelled'
