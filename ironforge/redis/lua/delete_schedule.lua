#!lua flags=allow-oom
-- Forgets a schedule, unless it has changed since it was seen. What it started goes on.
-- KEYS  schedules, ticks, upcoming, pauses, problems, history
-- ARGV  name, seen
-- Returns 1, or 0: it has changed
if redis.call('HGET', schedules, name) ~= seen then return 0 end
redis.call('HDEL', schedules, name)
redis.call('HDEL', upcoming, name)
redis.call('HDEL', problems, name)
redis.call('ZREM', ticks, name)
redis.call('ZREM', pauses, name)
redis.call('DEL', history)
return 1
