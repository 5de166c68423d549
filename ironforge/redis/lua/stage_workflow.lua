#!lua
-- Puts a part of the graph of a large workflow where it belongs, before that is submitted. It goes by itself if that never comes.
-- KEYS  graph, progress
-- ARGV  seconds, then words of the graph: name and value by turns
-- Returns 1, or 0 when the workflow is there already
if redis.call('EXISTS', progress) == 1 then return 0 end
redis.call('HSET', graph, unpack(ARGV, 2))
redis.call('EXPIRE', graph, seconds)
return 1
