#!lua
-- Notes children of a job that runs which are about to be submitted to another shard, or under which ids they were stored there
-- instead of their own. It may be repeated.
-- KEYS  fence, index, families, children, results
-- ARGV  epoch, parent, place, instead, then pairs: name of a child, its id
--       place: where the parent runs (`<queue>:<priority>:<entry>`); instead: 1 where they are stored under these ids, else 0
-- Returns 0 where the parent does not run there any more, or was told to stop; else an array of the numbers of those that
--         have ended already
if redis.call('HGET', index, parent) ~= 'q:' .. place then return 0 end
local over = {}
for at = 5, #ARGV, 2 do
  if redis.call('HEXISTS', results, ARGV[at]) == 1 then
    over[#over + 1] = (at - 5) / 2
  elseif instead == '0' then
    redis.call('HSETNX', children, ARGV[at], ARGV[at + 1])
  elseif redis.call('HEXISTS', children, ARGV[at]) == 1 then
    redis.call('HSET', children, ARGV[at], ARGV[at + 1])
  end
end
redis.call('ZADD', families, 0, parent)
return over
