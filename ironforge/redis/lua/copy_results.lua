#!lua
-- Copies ends of nodes from one workflow to another one that is to be forked from it. They go by themselves if that never comes.
-- KEYS  source, target, progress
-- ARGV  seconds, then pairs: name of a result there, name here
--       progress: of the fork, which is not there before it was submitted
-- USES  stem, types
-- Returns how many there are now, or -1 where one of those was not there
local wrong = wrong_type(KEYS)
if wrong then return wrong end
if redis.call('EXISTS', progress) == 1 then return redis.call('HLEN', target) end
for at = 2, #ARGV, 2 do
  local ended = redis.call('HGET', source, ARGV[at])
  if not ended then return -1 end
  redis.call('HSET', target, ARGV[at + 1], ended)
end
redis.call('EXPIRE', target, seconds)
return redis.call('HLEN', target)
