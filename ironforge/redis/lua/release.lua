#!lua flags=allow-oom
-- Submits the jobs of nodes that may start and have options which `advance` leaves to this. Where one of them may not, or not
-- any more, none is submitted, and nobody asks for that one again. It may be repeated after a lost reply. A job whose unique
-- key another one has ends at once, as that of a child.
-- KEYS  those of `submit`
-- ARGV  those of `submit`, whose jobs are those of the nodes, then a msgpack array with four words of each: id of its
--       workflow, its number there, its generation, what `results` calls it
-- RUNS  submit
-- USES  stem, clock, unique, limits, family, parent, progress, flow
-- Returns {'done'}, {'over', numbers of the jobs that may not start}, {'refused', what `submit` says}
local FIRST_JOB, WORDS = 11, 4
local nodes = cmsgpack.unpack(table.remove(ARGV))
local over = {}
local wrong = wrong_type({stem .. 'ready', stem .. 'advance'})
for at = 1, #nodes, WORDS do wrong = wrong or wrong_flow(nodes[at]) end
if wrong then return wrong end
for at = 1, #nodes, WORDS do
  local id, number, generation = unpack(nodes, at, at + 2)
  if not may_release(id, tonumber(number), generation) then
    over[#over + 1] = (at - 1) / WORDS
    redis.call('ZREM', stem .. 'ready', id .. number .. '.' .. generation)
  end
end
if over[1] then return {'over', unpack(over)} end

local answers = submit()
if answers.err then return answers end
if type(answers[1]) == 'string' then return {'refused', answers} end

local width = tonumber(ARGV[2])
local has_unique = width == 7 or width == 11
for at = 1, #nodes, WORDS do
  local id, number, generation, member = unpack(nodes, at, at + WORDS - 1)
  local job = FIRST_JOB + (at - 1) / WORDS * width
  local owner = has_unique and ARGV[job + 5] ~= '' and owners[unique_key(job)]
  set_state(id, tonumber(number), 'r')
  redis.call('ZREM', stem .. 'ready', id .. number .. '.' .. generation)
  if owner and owner.at ~= job then
    tell(id, member, false, end_record(kin(ARGV[job + 2]), 'job ' .. id_text(owner.id) .. ' has its unique key'))
  elseif owner and owner.id ~= ARGV[job + 1] then
    redis.call('HSET', stem .. 'graph:' .. hex(id), 'i' .. number, owner.id)
  end
end
return {'done'}
