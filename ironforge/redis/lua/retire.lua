#!lua flags=allow-oom
-- Forgets a node. Deleting a consumer also deletes what it has pending, so looking and deleting are one step: a node
-- that was fenced while it was alive may have read on, and then its consumer stays until it is found as an orphan.
-- KEYS  fence, nodes, roster, announced, alone, then the streams that it may have read
-- ARGV  epoch, node
--       the caller's epoch
-- USES  clock, stem, versions, limit_versions
-- Returns the number of streams in which something is still pending, and the limits whose definition changed
local left, about = 0, redis.call('HGET', roster, node)
redis.call('ZREM', nodes, node)
redis.call('HDEL', roster, node)
redis.call('HDEL', announced, node)
if redis.call('GET', alone) == node then redis.call('DEL', alone) end
for key = 6, #KEYS do
  -- An error here says that the stream has no group.
  local pending = redis.pcall('XPENDING', KEYS[key], 'nodes', '-', '+', 1, node)
  if not pending.err then
    if #pending > 0 then
      left = left + 1
    else
      redis.call('XGROUP', 'DELCONSUMER', KEYS[key], 'nodes', node)
    end
  end
end
return {left, unpack(settle_limits(about or '', nodes, roster, now))}
