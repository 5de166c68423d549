-- Moves delivered jobs: from ARGV[first] on each has `width` words, the first of them the number of its stream's key, its
-- entry and its id. `write` gets the place of the words that follow, the id, and what stands behind `q` in the stream's key.
-- Returns how many moved, then the numbers of those that are to be cancelled instead.
local function move(index, first, width, write)
  local reply = {0}
  for at = first, #ARGV, width do
    local stream, entry, id = KEYS[tonumber(ARGV[at])], ARGV[at + 1], ARGV[at + 2]
    local name = string.match(stream, '}:q(:.*)$')
    local letter, where = string.match(redis.call('HGET', index, id) or '', '^([cp])(.*)$')
    if letter and where == name .. ':' .. entry then
      reply[#reply + 1] = (at - first) / width
    -- Only who takes an entry off the pending list may write: an earlier try may have done so, unanswered.
    elseif redis.call('XACK', stream, 'nodes', entry) == 1 then
      redis.call('XDEL', stream, entry)
      write(at + 3, id, name)
      reply[1] = reply[1] + 1
    end
  end
  return reply
end
