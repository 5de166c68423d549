#!lua flags=allow-oom
-- Puts delivered jobs back, with new records, into the redelivery streams, which are read first.
-- KEYS  fence, index, then streams
-- ARGV  epoch, then per job: stream, entry and id as `move` takes them, record, stream to go to
-- USES  move
-- Returns as `move` does
return move(index, 2, 5, function(at, id)
  local goal = KEYS[tonumber(ARGV[at + 1])]
  local moved = redis.call('XADD', goal, '*', 'j', ARGV[at])
  redis.call('HSET', index, id, string.match(goal, '}:(q:.*)$') .. ':' .. moved)
end)
