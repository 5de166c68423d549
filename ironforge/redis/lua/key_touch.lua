#!lua
-- Notes when an API key was last used, unless it was revoked meanwhile.
-- KEYS  records, used
-- ARGV  id, now
if redis.call('HEXISTS', records, id) == 1 then redis.call('HSET', used, id, now) end
return 1
