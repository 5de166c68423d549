#!lua
-- Says what holds for a schedule from now on, unless it has changed since it was seen.
-- KEYS  schedules, ticks, upcoming, pauses, problems, history
-- ARGV  name, seen, seen_at, said, goes, look, most, channel, skipped, paused, holds
--       seen, seen_at: what it said and where it was ('': nothing); goes: where it is now; look: when to look at it next (ms, '': never)
--       most: schedules that there may be; skipped: ticks that start nothing any more, as `note_skipped` takes them, or ''
--       paused: until when (ms, inf), '': it is not; holds: until when this is right (ms), '': for ever
-- USES  stem, clock, announce, history
-- Returns 1, or 0: it has changed, or this is not right any more, or -1: there are as many as there may be
if (redis.call('HGET', schedules, name) or '') ~= seen then return 0 end
-- What is left of one that is gone says nothing.
if seen ~= '' and (redis.call('HGET', upcoming, name) or '') ~= seen_at then return 0 end
if holds ~= '' and now >= tonumber(holds) then return 0 end
if seen == '' and redis.call('HLEN', schedules) >= tonumber(most) then return -1 end
redis.call('HSET', schedules, name, said)
redis.call('HSET', upcoming, name, goes)
if skipped ~= '' then note_skipped(history, skipped) end
if paused == '' then redis.call('ZREM', pauses, name) else redis.call('ZADD', pauses, paused, name) end
redis.call('HDEL', problems, name)
if look == '' then
  redis.call('ZREM', ticks, name)
else
  redis.call('ZADD', ticks, look, name)
  announce(ticks, channel, tonumber(look), now)
end
return 1
