#!lua
-- Remembers why a schedule starts no job, until it does.
-- KEYS  schedules, problems
-- ARGV  name, why
-- Returns 1, or 0: there is no such schedule any more
if redis.call('HEXISTS', schedules, name) == 0 then return 0 end
redis.call('HSET', problems, name, why)
return 1
