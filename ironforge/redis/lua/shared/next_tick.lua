-- In how many ms to look at the next schedule; -1: there is none.
local function next_tick(now)
  local first = redis.pcall('ZRANGE', stem .. 'ticks', 0, 0, 'WITHSCORES')
  return first[2] and math.max(0, tonumber(first[2]) - now) or -1
end
