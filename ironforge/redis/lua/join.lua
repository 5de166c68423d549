#!lua flags=allow-oom
-- Gives a new node its lease and its epoch, the highest so far.
-- KEYS  epoch, nodes, fence, queues, roster
-- ARGV  node, lease in ms, what it says of itself, then the queues that it serves
-- Returns the epoch
local wrong = misfits(1, 2)
if wrong then return wrong end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local epoch = redis.call('INCR', KEYS[1])
redis.call('SET', KEYS[3], epoch)
redis.call('ZADD', KEYS[2], now + tonumber(ARGV[2]), ARGV[1])
redis.pcall('HSET', KEYS[5], ARGV[1], ARGV[3])
redis.pcall('SADD', KEYS[4], unpack(ARGV, 4))
return epoch
