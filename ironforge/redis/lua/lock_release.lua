#!lua flags=allow-oom
-- Free a lock, if it is still this holder's.
-- KEYS  1 lock
-- ARGV  1 token of the holder
-- Returns 1, or 0 when this holder does not hold it any more.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
return redis.call('DEL', KEYS[1])
