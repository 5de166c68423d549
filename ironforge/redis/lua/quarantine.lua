#!lua flags=allow-oom
-- Takes bytes that are no job, or that of a newer version, out of a stream and keeps them aside. Nothing is trimmed:
-- a newer node brings back what it can read.
-- KEYS  fence, index, quarantine, stream
-- ARGV  epoch, entry, id ('' when it cannot be read), record, reason
-- Returns 1, or 0 when the entry was not pending
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return redis.error_reply('STALE the fence has moved') end
local wrong = misfits(2, 4)
if wrong then return wrong end
if redis.call('XACK', KEYS[4], 'nodes', ARGV[2]) == 0 then return 0 end
redis.call('XDEL', KEYS[4], ARGV[2])
local stream = string.match(KEYS[4], '}:q:(.*)$')
redis.call('XADD', KEYS[3], '*', 'stream', stream, 'record', ARGV[4], 'reason', ARGV[5])
if ARGV[3] ~= '' then redis.call('HDEL', KEYS[2], ARGV[3]) end
return 1
