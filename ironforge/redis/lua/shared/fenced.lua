-- In front of every script whose first key is `fence`: only the holder of the lease may go on.
if redis.pcall('GET', fence) ~= epoch then return redis.error_reply('STALE the fence has moved') end
