#!lua flags=allow-oom
-- Puts one dead job back to the end of its stream.
-- KEYS  index, dead, parked, stream
-- ARGV  id, record seen, new record
-- Returns 1, or 0 when the job is no longer dead or has died again since
local index, dead, parked, stream = unpack(KEYS)
local id, seen, record = unpack(ARGV)
local wrong = misfits(1, 4)
if wrong then return wrong end
if redis.call('HGET', index, id) ~= 'd' or redis.call('HGET', parked, id) ~= seen then return 0 end
redis.call('ZREM', dead, id)
redis.call('HDEL', parked, id)
local entry = redis.call('XADD', stream, '*', 'j', record)
redis.call('HSET', index, id, string.match(stream, '}:(q:.*)$') .. ':' .. entry)
return 1
