#!lua flags=allow-oom
-- Has nodes leave a queue alone. Its name counts as used while it is paused.
-- KEYS  paused, queues
-- ARGV  queue, most
--       most names of queues
-- USES  turns
-- Returns 1, or {'queues', names in use, names to add, limit}
local full = admit(queues, {queue}, tonumber(most))
if full then return full end
redis.call('SADD', paused, queue)
return 1
