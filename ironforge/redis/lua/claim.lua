#!lua flags=allow-oom
-- Gives a node the turn to run a job with nothing else beside it. One node of a namespace has it at a time, for as long
-- as it is a node at all: nobody who has been forgotten holds anything.
-- KEYS  fence, nodes, alone
-- ARGV  epoch, node
-- Returns 1, or 0 while it is another node's turn
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return redis.error_reply('STALE the fence has moved') end
local wrong = misfits(2, 3)
if wrong then return wrong end
local holder = redis.call('GET', KEYS[3])
if holder and holder ~= ARGV[2] and redis.call('ZSCORE', KEYS[2], holder) then return 0 end
redis.call('SET', KEYS[3], ARGV[2])
return 1
