#!lua flags=allow-oom
-- Gives up jobs that no node may run: to the dead letter. Nothing was tried, so nothing counts as failed or crashed.
-- KEYS  fence, index, dead, parked, totals, unserved, versionlines, room, declined
-- ARGV  epoch, name, score, then per job: id, record
--       name of the line, its score as it was seen: a node that serves it has changed that
-- USES  stem, clock, count, kind_line, vacate, limits, holders, unique, family, parent, die
-- Returns the ids of those that were still there
if tonumber(redis.call('ZSCORE', unserved, name)) ~= tonumber(score) then return {} end
for at = 4, #ARGV, 2 do
  local wrong = wrong_kin(ARGV[at + 1])
  if wrong then return wrong end
end
local buried = {}
for at = 4, #ARGV, 2 do
  local id, record = ARGV[at], ARGV[at + 1]
  if redis.call('ZREM', declined, kind_of(name) .. '\n' .. id) == 1 then
    die(id, record, mark_of_declined(redis.call('HGET', index, id)), now)
    buried[#buried + 1] = id
  end
end
tell_of_room()
count(totals, 'dead', #buried)
vacate(unserved, declined, name)
return buried
