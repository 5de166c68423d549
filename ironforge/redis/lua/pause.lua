#!lua flags=allow-oom
-- Has nodes leave a queue alone. Its name counts as used while it is paused.
-- KEYS  paused, queues
-- ARGV  queue, most names of queues
-- Returns 1, or {'queues', names in use, names to add, limit}
local wrong = misfits(1, 2)
if wrong then return wrong end
local full = admit(KEYS[2], {ARGV[1]}, tonumber(ARGV[2]))
if full then return full end
redis.call('SADD', KEYS[1], ARGV[1])
return 1
