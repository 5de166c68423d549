#!lua flags=allow-oom
-- Delivers the first of the jobs that run alone. That it is pending announces the run: whoever takes over from the node
-- finds it there. A script and not a read, because a node that is dead to the others must not announce anything.
-- KEYS  fence, then streams, in order
-- ARGV  epoch, node
-- Returns {number of the stream's key, entry, record}, or {}: nothing waits; an error NOGROUP when a group is gone
for key = 2, #KEYS do
  -- An earlier try may have delivered it, unanswered. An error here says that the stream has no group.
  local pending = redis.pcall('XPENDING', KEYS[key], 'nodes', '-', '+', 1, node)
  local found = not pending.err and pending[1] and redis.call('XRANGE', KEYS[key], pending[1][1], pending[1][1])[1]
  if found then return {key, found[1], found[2][2]} end
end
for key = 2, #KEYS do
  if redis.call('XLEN', KEYS[key]) > 0 then
    local read = redis.pcall('XREADGROUP', 'GROUP', 'nodes', node, 'COUNT', 1, 'STREAMS', KEYS[key], '>')
    if read and read.err then return read end
    if read then return {key, read[1][2][1][1], read[1][2][1][2][2]} end
  end
end
return {}
