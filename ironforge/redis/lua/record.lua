#!lua
-- Records steps, each in the run that it is of: one whose job was rewritten since, or has ended, records nothing. It may be
-- repeated after a lost reply. Full memory refuses it.
-- KEYS  fence, index
-- ARGV  epoch, then per step: id, where the job runs (`<queue>:<priority>:<entry>`), its journal, its fence (empty: the
--         journal has that of this run already), name and value of the entry
-- Returns per step 1, the value that this entry has already, 0 when the run is over, or -1 when its journal is of the wrong
--         type
local reply = {}
for at = 2, #ARGV, 6 do
  local location, step = redis.call('HGET', index, ARGV[at]), 0
  -- With the letter of one that runs: of no other place can the rest be the same.
  if location and string.sub(location, 3) == ARGV[at + 1] then
    local journal, entry = ARGV[at + 2], ARGV[at + 4]
    step = redis.pcall('HSETNX', journal, entry, ARGV[at + 5])
    if step == 1 then
      if ARGV[at + 3] ~= '' then redis.call('HSET', journal, '', ARGV[at + 3]) end
    elseif step == 0 then
      step = redis.call('HGET', journal, entry)
    elseif string.find(step.err, 'WRONGTYPE', 1, true) then
      step = -1
    else
      return step
    end
  end
  reply[#reply + 1] = step
end
return reply
