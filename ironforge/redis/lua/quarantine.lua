#!lua flags=allow-oom
-- Takes bytes that are no job, or that of a newer version, out of a stream and keeps them aside. Nothing is trimmed:
-- a newer node brings back what it can read. Until then others may have its places.
-- KEYS  fence, index, quarantine, room, stream
-- ARGV  epoch, entry, id, record, reason, mark
--       id: '' when it cannot be read; mark: its fairness key and its limits, '' when they cannot
-- USES  stem, limits, holders
-- Returns 1, or 0 when the entry was not pending
if redis.call('XACK', stream, 'nodes', entry) == 0 then return 0 end
redis.call('XDEL', stream, entry)
local name = string.match(stream, '}:q:(.*)$')
redis.call('XADD', quarantine, '*', 'stream', name, 'record', record, 'reason', reason)
if id ~= '' then redis.call('HDEL', index, id) end
if is_limited(mark) then
  release(id, mark, true)
  tell_of_room()
end
return 1
