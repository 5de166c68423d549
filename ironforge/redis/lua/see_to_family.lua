#!lua flags=allow-oom
-- Takes leave of a job that has ended, or is dead, once none of its children is open: what they told it stays with its record.
-- KEYS  index, families, children, results
-- ARGV  parent, then names of children that are nowhere any more
-- USES  clock
-- Returns 1, or 0 while some are open
for at = 2, #ARGV do redis.call('HDEL', children, ARGV[at]) end
local score = tonumber(redis.call('ZSCORE', families, parent))
if not score or score >= 0 then return 1 end
if redis.call('HEXISTS', index, parent) == 1 then
  if redis.call('HGET', index, parent) ~= 'd' or redis.call('EXISTS', children) == 0 then redis.call('ZADD', families, 0, parent) end
elseif redis.call('EXISTS', children) == 0 then
  -- Those that were told of after its end may be the first: they stay no longer than its record.
  if -score > now then redis.call('PEXPIREAT', results, string.format('%.0f', -score), 'NX') else redis.call('UNLINK', results) end
  if redis.call('EXISTS', results) == 1 then
    redis.call('ZADD', families, string.format('%.0f', -score), parent)
  else
    redis.call('ZREM', families, parent)
  end
end
return redis.call('EXISTS', children) == 0 and 1 or 0
