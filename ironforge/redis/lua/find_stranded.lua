#!lua flags=no-writes
-- Finds workflows that nothing would move on.
-- KEYS  index
-- ARGV  looks as `stranded` has them
-- USES  stem, progress, stranded
-- Returns the numbers of those of which something is missing
local reply = {}
for at = 1, #ARGV, LOOK do
  if missing_of(unpack(ARGV, at, at + LOOK - 1)) then reply[#reply + 1] = (at - 1) / LOOK end
end
return reply
