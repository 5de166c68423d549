#!lua flags=allow-oom
-- Ends nodes that may start and whose jobs can never be submitted. It may be repeated.
-- KEYS  index, ready, advance
-- ARGV  of each: id of its workflow, its number there, its generation, what `results` calls it, its record as the workflow
--       keeps it
-- USES  stem, types, clock, unique, limits, family, parent, progress, flow
-- Returns how many there were
local WORDS, ended = 5, 0
local wrong = wrong_type(KEYS)
for at = 1, #ARGV, WORDS do wrong = wrong or wrong_flow(ARGV[at]) end
if wrong then return wrong end
for at = 1, #ARGV, WORDS do
  local id, number, generation, member, record = unpack(ARGV, at, at + WORDS - 1)
  if may_release(id, number, generation) then
    set_state(id, number, 'r')
    tell(id, member, false, record)
    ended = ended + 1
  end
  redis.call('ZREM', ready, id .. number .. '.' .. generation)
end
return ended
