#!lua flags=allow-oom
-- Tells parents in this shard of children that have ended in another one. Who has heard it already hears nothing new.
-- KEYS  families, wake
-- ARGV  per child: its parent, its name there, its record as the parent keeps it
-- USES  stem, types, clock
-- Returns how many of their parents are known
local names = {families, wake}
for at = 1, #ARGV, 3 do
  local hex = string.gsub(ARGV[at], '.', function(byte) return string.format('%02x', string.byte(byte)) end)
  names[#names + 1], names[#names + 2] = stem .. 'children:' .. hex, stem .. 'results:' .. hex
end
local wrong = wrong_type(names)
if wrong then return wrong end
local told = 0
for at = 1, #ARGV, 3 do
  local n = 3 + (at - 1) / 3 * 2
  redis.call('HDEL', names[n], ARGV[at + 1])
  if redis.call('ZSCORE', families, ARGV[at]) then
    redis.call('HSET', names[n + 1], ARGV[at + 1], ARGV[at + 2])
    redis.call('ZADD', wake, now, ARGV[at])
    told = told + 1
    if redis.call('EXISTS', names[n]) == 0 then redis.call('PUBLISH', stem .. 'signals', 'due:0') end
  end
end
return told
