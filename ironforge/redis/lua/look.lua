#!lua flags=no-writes
-- Looks at one job where it is, at one moment.
-- KEYS  index, parked, scheduled, bucket, kept bucket
-- ARGV  id
-- Returns the time, then where the index says that it is ('' when it knows none), its record (nil: it is not there), the
--         row of the pending list when it runs, or when it is due
local index, parked, scheduled = unpack(KEYS, 1, 3)
local wrong = misfit(index)
if wrong then return wrong end
local id, time = ARGV[1], redis.call('TIME')
local location = redis.call('HGET', index, id)
if not location then
  for at = 4, 5 do
    local record = redis.pcall('HGET', KEYS[at], id)
    if type(record) == 'string' then return {time, '', record} end
    if type(record) == 'table' then wrong = record end
  end
  return wrong or {time, ''}
end
local prefix = string.match(index, '^(.*})') .. ':'
local name, entry = string.match(location, '^[qc]:(.*):(%d+%-%d+)$')
if name then
  local stream = prefix .. 'q:' .. name
  local entries = redis.call('XRANGE', stream, entry, entry)
  -- Without a group nobody runs anything.
  local pending = redis.pcall('XPENDING', stream, 'nodes', entry, entry, 1)
  return {time, location, entries[1] and entries[1][2][2] or false, not pending.err and pending[1] or false}
end
local record, place = redis.call('HGET', parked, id), string.sub(location, 1, 1)
if place == 'd' then return {time, location, record} end
local line = place == 'f' and prefix .. 'fair:' .. (string.match(location, '^f:([^:]*:[^:]*)') or '')
local due = redis.call('ZSCORE', line or scheduled, id)
return {time, location, due and record or false, due}
