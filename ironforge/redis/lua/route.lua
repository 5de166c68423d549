#!lua
-- Says where the answer to an idempotency key is to be: which shard has it, where its job lies in another one than the
-- key itself. A later generation takes the place of an earlier one, whose submissions are then taken nowhere any more.
-- KEYS  idempotency
-- ARGV  generation, shard, seconds
--       seconds: for which it is remembered
-- Returns generation and shard that hold now; nothing when the answer is here
local value = redis.call('GET', idempotency)
if value and #value % 17 == 16 then return {} end
local earlier, at = string.match(value or '', '^(%d+):(%d+)$')
if value and not earlier then
  return redis.error_reply('CORRUPT ' .. idempotency .. ' holds no answer: delete it')
end
if not earlier or tonumber(earlier) < tonumber(generation) then earlier, at = generation, shard end
redis.call('SET', idempotency, earlier .. ':' .. at, 'EX', seconds)
return {tonumber(earlier), tonumber(at)}
