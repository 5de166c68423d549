-- In how many ms some job waits no longer; -1: only when something happens. What is of the wrong type says nothing here.
-- `is_none`: it is known that nothing stands in `wake`.
local function next_wake(now, is_none)
  if not is_none and redis.call('EXISTS', stem .. 'wake') == 1 then return 0 end
  local soonest = math.huge
  for _, what in ipairs({'sleep', 'event'}) do
    local first = redis.pcall('ZRANGE', stem .. 'waiting:' .. what, 0, 0, 'WITHSCORES')
    soonest = math.min(soonest, tonumber(first[2]) or math.huge)
  end
  return soonest < math.huge and math.max(0, soonest - now) or -1
end
