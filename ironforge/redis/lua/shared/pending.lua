-- Whether a node has this entry. An error says that there is no group: nobody ever served this queue, so none has.
local function is_pending(stream, entry)
  local found = redis.pcall('XPENDING', stream, 'nodes', entry, entry, 1)
  return not found.err and #found > 0
end

-- Of a job by what the index says: whether a node has it, and its record where it waits or is dead (nothing: it is not there).
local function seen_at(id, location)
  local stream, entry = string.match(location, '^[qcp]:(.*):(%d+%-%d+)$')
  if not stream then return false, redis.call('HGET', stem .. 'parked', id) end
  local body = redis.call('XRANGE', stem .. 'q:' .. stream, entry, entry)[1]
  return is_pending(stem .. 'q:' .. stream, entry), body and body[2][2]
end
