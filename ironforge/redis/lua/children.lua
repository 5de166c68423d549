#!lua
-- Submits children of a job that runs, and notes in its journal how far it is: all in one. It may be repeated after a lost
-- reply. A child whose unique key another job has ends at once, and keeps no others from being submitted.
-- KEYS  those of `submit`
-- ARGV  those of `submit`, whose jobs are the children that lie in this shard, then a msgpack array: node, epoch, id of the
--       parent, where it runs (`<queue>:<priority>:<entry>`), the entry's name in its journal, that entry as it was seen ('':
--       none) and as it becomes, fence of the run, the children's names in the order of the jobs
-- RUNS  submit
-- USES  stem, clock, unique, limits, family, parent
-- Returns {'done'}, {'stopped'} where the parent does not run there any more or was told to stop, {'moved'} where the entry
--         is another one, {'refused', what `submit` says}
local FIRST_JOB = 11
local node, epoch, parent, place, field, seen, becomes, fence, members = unpack(cmsgpack.unpack(table.remove(ARGV)))
if redis.pcall('GET', stem .. 'fence:' .. node) ~= epoch then return redis.error_reply('STALE the fence has moved') end
local journal, children, results = stem .. 'steps:' .. hex(parent), stem .. 'children:' .. hex(parent), stem .. 'results:' .. hex(parent)
local families = stem .. 'families'
local wrong = wrong_type({journal, children, results, families, stem .. 'wake', stem .. 'outbox'})
if wrong then return wrong end
if redis.call('HGET', index, parent) ~= 'q:' .. place then return {'stopped'} end
local found = redis.call('HGET', journal, field) or ''
if found == becomes then return {'done'} end
if found ~= seen then return {'moved'} end

local answers = #members > 0 and submit() or {}
if answers.err then return answers end
if type(answers[1]) == 'string' then return {'refused', answers} end

local width, open, ended = tonumber(ARGV[2]), {}, {}
local has_unique = width == 7 or width == 11
for number, member in ipairs(members) do
  local at = FIRST_JOB + (number - 1) * width
  local owner = has_unique and ARGV[at + 5] ~= '' and owners[unique_key(at)]
  if owner and owner.at ~= at then
    local n = #ended
    ended[n + 1], ended[n + 2] = member, end_record(kin(ARGV[at + 2]), 'job ' .. id_text(owner.id) .. ' has its unique key')
  else
    local n = #open
    open[n + 1], open[n + 2] = member, owner and owner.id or ARGV[at + 1]
  end
end
in_parts('HSET', children, open)
in_parts('HSET', results, ended)
redis.call('ZADD', families, 0, parent)
redis.call('HSET', journal, field, becomes, '', fence)
return {'done'}
