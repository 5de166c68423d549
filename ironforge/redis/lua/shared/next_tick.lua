-- In how many ms to look at the next schedule; -1: there is none. Where none of them ticks any more that may be lost.
local function next_tick(now)
  local first = redis.pcall('ZRANGE', stem .. 'ticks', 0, 0, 'WITHSCORES')
  if first[2] then return math.max(0, tonumber(first[2]) - now) end
  local known = not first.err and redis.pcall('HLEN', stem .. 'schedules')
  return type(known) == 'number' and known > 0 and 0 or -1
end
