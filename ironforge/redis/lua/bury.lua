#!lua flags=allow-oom
-- Moves delivered jobs to the dead letter.
-- KEYS  fence, index, dead, parked, totals, then streams
-- ARGV  epoch, then per job: stream (number of its key), entry, id, record, failed (0 or 1)
-- Returns how many moved, then the numbers of those that are to be cancelled instead
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return redis.error_reply('STALE the fence has moved') end
local wrong = misfits(2, 4)
if wrong then return wrong end
local index, dead, parked, totals = unpack(KEYS, 2, 5)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local reply, failed = {0}, 0
for at = 2, #ARGV, 5 do
  local stream, entry, id = KEYS[tonumber(ARGV[at])], ARGV[at + 1], ARGV[at + 2]
  local name = string.match(stream, '}:q(:.*)$')
  local place = redis.call('HGET', index, id)
  if place == 'c' .. name .. ':' .. entry then
    reply[#reply + 1] = (at - 2) / 5
  -- Only who takes an entry off the pending list may write: an earlier try may have done so, unanswered.
  elseif take(stream, entry, place == 'q' .. name .. ':' .. entry) then
    redis.call('ZADD', dead, now, id)
    redis.call('HSET', parked, id, ARGV[at + 3])
    redis.call('HSET', index, id, 'd')
    failed = failed + tonumber(ARGV[at + 4])
    reply[1] = reply[1] + 1
  end
end
if reply[1] > 0 then redis.pcall('HINCRBY', totals, 'dead', reply[1]) end
if failed > 0 then redis.pcall('HINCRBY', totals, 'failed', failed) end
-- What is buried without having failed has crashed.
if reply[1] > failed then redis.pcall('HINCRBY', totals, 'poison', reply[1] - failed) end
return reply
