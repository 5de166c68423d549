#!lua flags=allow-oom
-- Gives a node the turn to run a job with nothing else beside it. One node of a namespace has it at a time, for as long
-- as it is a node at all: nobody who has been forgotten holds anything.
-- KEYS  fence, nodes, alone
-- ARGV  epoch, node
-- Returns 1, or 0 while it is another node's turn
local holder = redis.call('GET', alone)
if holder and holder ~= node and redis.call('ZSCORE', nodes, holder) then return 0 end
redis.call('SET', alone, node)
return 1
