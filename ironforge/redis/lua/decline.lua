#!lua flags=allow-oom
-- Takes delivered jobs off their streams that their node must not run: each waits in the line of its kind, or of its kind
-- and the version of the application that it stays with.
-- KEYS  fence, index, parked, unserved, versionlines, probes, room, then streams and the zsets `declined`
-- ARGV  epoch, channel, then per job: stream, entry and id as `move` takes them, record, zset to go to, kind (behind it
--         `@` and the version, and `:a` when the job runs alone), its fairness key and its limits as the index says them
-- USES  stem, clock, move, limits, holders, kind_line
-- Returns as `move` does
if redis.call('EXISTS', unserved) == 0 then redis.call('ZADD', unserved, 0, '', now, 'at') end
local watch, fresh = redis.call('ZSCORE', unserved, ''), false
local reply = move(index, 3, 7, function(at, id)
  local declined, kind, mark = KEYS[tonumber(ARGV[at + 1])], ARGV[at + 2], ARGV[at + 3]
  local name = string.match(declined, '}:declined:(.*)$') .. ':' .. kind
  redis.call('ZADD', declined, 0, kind .. '\n' .. id)
  redis.call('HSET', parked, id, ARGV[at])
  redis.call('HSET', index, id, 'k:' .. name .. (is_limited(mark) and '\n' .. mark or ''))
  -- It has not started: others may, until a node comes that knows its kind. But of a fifo key the next one would overtake it.
  if is_limited(mark) then release(id, mark, true, fifo_policy(mark) ~= nil) end
  if is_of_version(name) then redis.call('SADD', versionlines, name) end
  fresh = redis.call('ZADD', unserved, 'NX', watch or 0, name) == 1 or fresh
end)
if redis.call('ZCARD', unserved) <= 2 then redis.call('DEL', unserved) end
-- Whoever knows the kind takes from its line until that is empty: only then has a node to be told again.
if fresh then redis.call('PUBLISH', channel, 'room:') end
tell_of_room()
return reply
