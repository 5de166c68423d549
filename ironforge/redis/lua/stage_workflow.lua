#!lua
-- Puts a part of the graph of a large workflow where it belongs, before that is submitted. It goes by itself if that never comes.
-- KEYS  graph, progress
-- ARGV  seconds, then words of the graph: name and value by turns
-- Returns 1, or 0 when the workflow is there already
if redis.call('EXISTS', progress) == 1 then return 0 end
for at = 2, #ARGV, 2000 do redis.call('HSET', graph, unpack(ARGV, at, math.min(at + 1999, #ARGV))) end
redis.call('EXPIRE', graph, seconds)
return 1
