-- What an event takes until it expires, `till` (ms), among what the namespace stores: by the hour in which
-- that is. More or less, for what still wakes waiters then stays a little longer.
local function keep_event(eventbytes, event, value, till, now)
  local hour, this_hour = string.format('%.0f', math.floor(till / 3600000)), math.floor(now / 3600000)
  local bytes = #event + #value + 64
  if redis.call('HINCRBY', eventbytes, hour, bytes) > bytes then return end
  for _, other in ipairs(redis.call('HKEYS', eventbytes)) do
    if (tonumber(other) or 0) < this_hour then redis.call('HDEL', eventbytes, other) end
  end
  local last = string.format('%.0f', (tonumber(hour) + 1) * 3600000 - now)
  redis.call('PEXPIRE', eventbytes, last, 'NX')
  redis.call('PEXPIRE', eventbytes, last, 'GT')
end
