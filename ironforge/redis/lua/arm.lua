#!lua flags=allow-oom
-- Writes the fence over itself before a connection watches it: a transaction that an older connection of this lease has
-- still on its way then aborts, however late it arrives.
-- KEYS  fence
-- ARGV  epoch
redis.call('SET', fence, epoch, 'KEEPTTL')
