#!lua flags=no-writes
-- Looks at one key of a limit.
-- KEYS  limits, holders, in_use, tat, stops, probes, dueroom
-- ARGV  name, claim, most
--       claim: limit and key; most: holders to name
-- USES  stem, clock, places
-- Returns the time, the definition, how many hold it, how many wait, until when its rate is used up (µs), until when it is
--         stopped, since when its probe runs (0: it is the next to start), when the next look is due ('' for each that is
--         not there), then pairs: holder, since when
local waiting = 0
for _, place in ipairs(places_of({claim})[1]) do
  waiting = waiting + redis.call('ZCARD', line_of(place, claim))
end
local since = tonumber(redis.call('ZSCORE', probes, claim))
if since and since > 0 and not redis.call('ZRANGE', holders, since, '+inf', 'BYSCORE', 'LIMIT', 0, 1)[1] then since = nil end
local reply = {now, redis.call('HGET', limits, name) or '', redis.call('ZCARD', holders), waiting,
  redis.call('GET', tat) or '', redis.call('ZSCORE', stops, claim) or '', since or '',
  redis.call('ZSCORE', dueroom, claim) or ''}
for _, word in ipairs(redis.call('ZRANGE', holders, 0, most - 1, 'WITHSCORES')) do reply[#reply + 1] = word end
return reply
