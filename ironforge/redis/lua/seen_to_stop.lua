#!lua flags=allow-oom
-- All open nodes of a workflow that was stopped have been asked to: it is not looked at again for that, unless somebody has
-- stopped it again since.
-- KEYS  stopping
-- ARGV  member, score
-- Returns 1, or 0 where it was
if redis.call('ZSCORE', stopping, member) ~= score then return 0 end
return redis.call('ZREM', stopping, member)
