#!lua flags=allow-oom
-- Renews a lease by the server's clock.
-- KEYS  fence, nodes
-- ARGV  epoch, node, lease in ms
-- Returns up to 10 other nodes whose lease has run out
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return redis.error_reply('STALE the fence has moved') end
local wrong = misfit(KEYS[2])
if wrong then return wrong end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local till = now + tonumber(ARGV[3])
local before = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[2]) or till)
if before > till then
  -- The clock has gone back. Every lease was written by the old one, also that of a node that died before this beat:
  -- it would count as alive until the clock is there again. Whoever joined since has a lease that ends by `till`.
  for _, node in ipairs(redis.call('ZRANGE', KEYS[2], '(' .. till, '+inf', 'BYSCORE')) do
    redis.call('ZINCRBY', KEYS[2], till - before, node)
  end
end
redis.call('ZADD', KEYS[2], till, ARGV[2])
local nodes = {}
for _, name in ipairs(redis.call('ZRANGE', KEYS[2], '-inf', now, 'BYSCORE', 'LIMIT', 0, 10)) do
  -- No node is called like that: it would be taken over in vain with every beat, and keep others from their turn.
  if string.find(name, '^[!-~]+$') then nodes[#nodes + 1] = name else redis.call('ZREM', KEYS[2], name) end
end
return nodes
