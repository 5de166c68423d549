#!lua flags=allow-oom
-- Forgets a node. Deleting a consumer also deletes what it has pending, so looking and deleting are one step: a node
-- that was fenced while it was alive may have read on, and then its consumer stays until it is found as a stray.
-- KEYS  fence of the caller, nodes, roster, alone, then the streams that it may have read
-- ARGV  epoch of the caller, node
-- Returns the number of streams in which something is still pending
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return redis.error_reply('STALE the fence has moved') end
local wrong = misfit(KEYS[2])
if wrong then return wrong end
local left = 0
redis.call('ZREM', KEYS[2], ARGV[2])
redis.pcall('HDEL', KEYS[3], ARGV[2])
if redis.pcall('GET', KEYS[4]) == ARGV[2] then redis.call('DEL', KEYS[4]) end
for key = 5, #KEYS do
  -- An error here says that the stream has no group.
  local pending = redis.pcall('XPENDING', KEYS[key], 'nodes', '-', '+', 1, ARGV[2])
  if not pending.err then
    if #pending > 0 then
      left = left + 1
    else
      redis.call('XGROUP', 'DELCONSUMER', KEYS[key], 'nodes', ARGV[2])
    end
  end
end
return left
