#!lua flags=allow-oom
-- Brings a record back from the quarantine to its stream.
-- KEYS  fence, index, quarantine, queues, stream
-- ARGV  epoch, entry in the quarantine, id, record, queue
-- Returns 1, or 0 when another node was faster, or the index says that the job is elsewhere: then the copy stays here
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return redis.error_reply('STALE the fence has moved') end
local wrong = misfits(2, 3) or misfit(KEYS[5])
if wrong then return wrong end
if redis.call('HEXISTS', KEYS[2], ARGV[3]) == 1 then return 0 end
if redis.call('XDEL', KEYS[3], ARGV[2]) == 0 then return 0 end
redis.pcall('SADD', KEYS[4], ARGV[5])
local entry = redis.call('XADD', KEYS[5], '*', 'j', ARGV[4])
redis.call('HSET', KEYS[2], ARGV[3], string.match(KEYS[5], '}:(q:.*)$') .. ':' .. entry)
return 1
