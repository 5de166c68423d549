-- In how many ms to look at the next schedule; -1: there is none.
local function next_tick(now)
  local first = redis.pcall('ZRANGE', stem .. 'ticks', 0, 0, 'WITHSCORES')
  return first[2] and math.max(0, tonumber(first[2]) - now) or -1
end

-- Also where none of them has a tick to come: that may have been lost.
local function next_look(now)
  local next_one = next_tick(now)
  local known = next_one < 0 and redis.pcall('HLEN', stem .. 'schedules')
  return type(known) == 'number' and known > 0 and 0 or next_one
end
