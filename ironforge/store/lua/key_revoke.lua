#!lua
-- Forgets an API key, if it belongs to this namespace.
-- KEYS  keys of the namespace, records, last uses
-- ARGV  id
-- Returns 1, or 0: there is none
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[1], ARGV[1])
-- From here on it does not count, whatever becomes of the note about its use.
redis.pcall('HDEL', KEYS[3], ARGV[1])
return 1
