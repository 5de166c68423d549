#!lua flags=allow-oom
-- Puts delivered jobs back, with new records, into the twins of their streams that are read first.
-- KEYS  fence, index, then streams
-- ARGV  epoch, then per job: stream (number of its key), entry, id, record, stream to go to
-- Returns how many moved, then the numbers of those that are to be cancelled instead
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return redis.error_reply('STALE the fence has moved') end
local wrong = misfit(KEYS[2])
if wrong then return wrong end
local reply = {0}
for at = 2, #ARGV, 5 do
  local stream, entry, id = KEYS[tonumber(ARGV[at])], ARGV[at + 1], ARGV[at + 2]
  local name = string.match(stream, '}:q(:.*)$')
  local place, returned = redis.call('HGET', KEYS[2], id), KEYS[tonumber(ARGV[at + 4])]
  if place == 'c' .. name .. ':' .. entry then
    reply[#reply + 1] = (at - 2) / 5
  -- Only who takes an entry off the pending list may write: an earlier try may have done so, unanswered.
  -- One that cannot go there stays pending, and its node finds it again.
  elseif not misfit(returned) and take(stream, entry, place == 'q' .. name .. ':' .. entry) then
    local moved = redis.call('XADD', returned, '*', 'j', ARGV[at + 3])
    redis.call('HSET', KEYS[2], id, string.match(returned, '}:(q:.*)$') .. ':' .. moved)
    reply[1] = reply[1] + 1
  end
end
return reply
