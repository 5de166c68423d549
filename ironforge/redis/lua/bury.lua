#!lua flags=allow-oom
-- Moves delivered jobs to the dead letter.
-- KEYS  fence, index, dead, parked, totals, room, then streams
-- ARGV  epoch, then per job: stream, entry and id as `move` takes them, record, failed (0 or 1), mark
-- USES  stem, clock, move, count, limits, holders, unique, family, parent, die
-- Returns as `move` does
for at = 2, #ARGV, 6 do
  local wrong = wrong_kin(ARGV[at + 3])
  if wrong then return wrong end
end
local failed = 0
local reply = move(index, 2, 6, function(at, id)
  die(id, ARGV[at], ARGV[at + 2], now)
  failed = failed + tonumber(ARGV[at + 1])
end)
tell_of_room()
count(totals, 'dead', reply[1])
count(totals, 'failed', failed)
-- What is buried without having failed has crashed.
count(totals, 'poison', reply[1] - failed)
return reply
