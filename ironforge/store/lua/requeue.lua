#!lua flags=allow-oom
-- Puts delivered jobs back, with new records, into the twins of their streams that are read first.
-- KEYS  fence, index, then streams
-- ARGV  epoch, then per job: stream (number of its key), entry, id, record, stream to go to
-- Returns how many moved, then the numbers of those that are to be cancelled instead
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return redis.error_reply('STALE the fence has moved') end
local reply = {0}
for at = 2, #ARGV, 5 do
  local stream, entry, id = KEYS[tonumber(ARGV[at])], ARGV[at + 1], ARGV[at + 2]
  local name = string.match(stream, '}:q(:.*)$')
  if redis.call('HGET', KEYS[2], id) == 'c' .. name .. ':' .. entry then
    reply[#reply + 1] = (at - 2) / 5
  -- Only who takes an entry off the pending list may write: an earlier try may have done so, unanswered.
  elseif redis.call('XACK', stream, 'nodes', entry) == 1 then
    redis.call('XDEL', stream, entry)
    local returned = KEYS[tonumber(ARGV[at + 4])]
    local moved = redis.call('XADD', returned, '*', 'j', ARGV[at + 3])
    redis.call('HSET', KEYS[2], id, string.match(returned, '}:(q:.*)$') .. ':' .. moved)
    reply[1] = reply[1] + 1
  end
end
return reply
