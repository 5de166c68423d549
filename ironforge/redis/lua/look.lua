#!lua flags=no-writes
-- Looks at one job where it is, at one moment.
-- KEYS  index, parked, scheduled, unserved, done, kept
--       done, kept: the buckets of its minute
-- ARGV  id
-- USES  stem, clock, places
-- Returns the time, then where the index says that it is ('' when it knows none), its record (nil: it is not there), the
--         row of the pending list when it runs, or when it is due, or when its limit may let it in, or of a declined job since
--         when its line is unserved; then of one behind a limit: `stopped` or `probing` when that was throttled (nil: it was
--         not), and a job that has a place of its key
local location = redis.call('HGET', index, id)
if not location then return {now, '', redis.call('HGET', done, id) or redis.call('HGET', kept, id)} end
local name, entry = string.match(location, '^[qcp]:(.*):(%d+%-%d+)$')
if name then
  local stream = stem .. 'q:' .. name
  local entries = redis.call('XRANGE', stream, entry, entry)
  -- Without a group nobody runs anything. The row counts back from its own moment, which is ours only within one
  -- millisecond: before Redis 7.2 time goes on while a script runs.
  local pending
  repeat
    now = clock()
    pending = redis.pcall('XPENDING', stream, 'nodes', entry, entry, 1)
  until clock() == now
  return {now, location, entries[1] and entries[1][2][2] or false, not pending.err and pending[1] or false}
end
local record, place = redis.call('HGET', parked, id), string.sub(location, 1, 1)
if place == 'd' then return {now, location, record} end
local waits, key = string.match(location, '^l:([^:]*:%d):[^\n]*\n[^\n]*\n([^\n]*\n[^\n]*)')
if waits then
  local there = redis.call('ZSCORE', line_of(waits, key), id)
  local throttled = tonumber(redis.pcall('ZSCORE', stem .. 'probes', key)) and 'probing'
  if throttled and tonumber(redis.call('ZSCORE', stem .. 'stops', key) or 0) > now then throttled = 'stopped' end
  local holder = redis.pcall('ZRANGE', stem .. 'holders:' .. key, 0, 0)[1]
  return {now, location, there and record or false, redis.call('ZSCORE', stem .. 'dueroom', key), throttled or false, holder}
end
local declined, kind = string.match(location, '^k:([^:]*:%d):([^\n]*)')
if declined then
  local there = redis.call('ZSCORE', stem .. 'declined:' .. declined, kind .. '\n' .. id)
  local watch, at = redis.call('ZSCORE', unserved, '') or 0, redis.call('ZSCORE', unserved, 'at') or now
  local score = redis.call('ZSCORE', unserved, declined .. ':' .. kind) or watch
  return {now, location, there and record or false, string.format('%.0f', at - watch + score)}
end
if place == 'w' then
  local waits = false
  for _, what in ipairs({'sleep', 'event', 'children', 'workflow'}) do
    waits = waits or redis.call('ZSCORE', stem .. 'waiting:' .. what, id)
  end
  return {now, location, waits and record or false, waits}
end
local line = place == 'f' and stem .. 'fair:' .. (string.match(location, '^f:([^:]*:[^:]*)') or '')
local due = redis.call('ZSCORE', line or scheduled, id)
return {now, location, due and record or false, due}
