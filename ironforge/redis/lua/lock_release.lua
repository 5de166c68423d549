#!lua flags=allow-oom
-- Free a lock, or what is held like one, if it is still this holder's.
-- KEYS  lock
-- ARGV  token
-- Returns 1, or 0 when this holder does not hold it any more.
return redis.call('GET', lock) == token and redis.call('DEL', lock) or 0
