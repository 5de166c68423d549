#!lua flags=allow-oom
-- Makes the groups of streams, reading from their beginning; those that exist stay as they are. A group that had been
-- there was destroyed, and with it who runs what. So every node is fenced, and all that is in the stream is given to a
-- consumer that is no node: from there it is requeued as from a dead node, for runs with higher fences.
-- KEYS  epoch, groups, queues, then the fences of all nodes, then streams
-- ARGV  channel, lost, then the nodes
--       the channel tells the nodes; lost: the consumer that is no node
-- Returns how many jobs lost their group. The server is busy for about a second for each million of them.
local nodes, found = #ARGV - 2, 0
for at = 4 + nodes, #KEYS do
  local key = KEYS[at]
  local made = redis.pcall('XGROUP', 'CREATE', key, 'nodes', '0', 'MKSTREAM')
  if made.err and not string.find(made.err, 'BUSYGROUP', 1, true) then return redis.error_reply(made.err) end
  local name = string.match(key, '}:q:(.*)$')
  local known = redis.call('SADD', groups, name) == 0
  -- The queue may have been forgotten while its node was away.
  redis.call('SADD', queues, string.match(name, '^[^:]*'))
  while known and not made.err do
    local read = redis.call('XREADGROUP', 'GROUP', 'nodes', lost, 'COUNT', 1000, 'STREAMS', key, '>')
    if not read then break end
    found = found + #read[1][2]
  end
end
if found > 0 then
  for at = 1, nodes do
    redis.call('SET', KEYS[3 + at], redis.call('INCR', epoch), 'EX', 86400)
    redis.call('PUBLISH', channel, 'fenced:' .. ARGV[2 + at])
  end
end
return found
