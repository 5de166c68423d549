#!lua
-- Notes nodes that may start as running whose jobs are about to be submitted to another shard, or under which ids they
-- were stored there instead of their own. It may be repeated.
-- KEYS  ready
-- ARGV  of each: id of its workflow, its number there, its generation, what `results` calls it, id under which its job
--       is stored ('': not known yet)
-- USES  stem, types, family, progress, flow
-- Returns the numbers of those whose jobs are not to be submitted, or not any more
local WORDS = 5
for at = 1, #ARGV, WORDS do
  local wrong = wrong_flow(ARGV[at])
  if wrong then return wrong end
end
local over = {}
for at = 1, #ARGV, WORDS do
  local id, number, generation, member, job = unpack(ARGV, at, at + WORDS - 1)
  local head = live_head(id)
  local is_open = head and head.generation == tonumber(generation) and state_of(id, number) == 'r'
    and redis.call('HEXISTS', stem .. 'results:' .. hex(id), member) == 0
  if is_open and job ~= '' then
    redis.call('HSET', stem .. 'graph:' .. hex(id), 'i' .. number, job)
  elseif may_release(id, number, generation) then
    set_state(id, number, 'r')
  elseif not is_open then
    over[#over + 1] = (at - 1) / WORDS
    redis.call('ZREM', ready, id .. number .. '.' .. generation)
  end
end
return over
