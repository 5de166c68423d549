#!lua
-- Notes when an API key was last used, unless it was revoked meanwhile.
-- KEYS  records, last uses
-- ARGV  id, now ms
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then redis.call('HSET', KEYS[2], ARGV[1], ARGV[2]) end
return 1
