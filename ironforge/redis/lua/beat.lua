#!lua flags=allow-oom
-- Renews a lease by the server's clock.
-- KEYS  fence, nodes
-- ARGV  epoch, node, lease_ms
-- USES  clock
-- Returns up to 10 other nodes whose lease has run out
local till = now + tonumber(lease_ms)
local before = tonumber(redis.call('ZSCORE', nodes, node) or till)
if before > till then
  -- The clock has gone back. Every lease was written by the old one, also that of a node that died before this beat:
  -- it would count as alive until the clock is there again. Whoever joined since has a lease that ends by `till`.
  for _, other in ipairs(redis.call('ZRANGE', nodes, '(' .. till, '+inf', 'BYSCORE')) do
    redis.call('ZINCRBY', nodes, till - before, other)
  end
end
redis.call('ZADD', nodes, till, node)
local dead = {}
for _, name in ipairs(redis.call('ZRANGE', nodes, '-inf', now, 'BYSCORE', 'LIMIT', 0, 10)) do
  -- No node is called like that: it would be taken over in vain with every beat, and keep others from their turn.
  if string.find(name, '^[!-~]+$') then dead[#dead + 1] = name else redis.call('ZREM', nodes, name) end
end
return dead
