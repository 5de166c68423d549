-- Whether a run that the next one of its schedule was to take the place of stays, since that run does not start: the schedule is
-- no longer where it must be for that, or it is later than it may start (ms; 0: never). Not whether it is earlier: it may be a
-- moment early, and the run is not asked for again.
local function is_kept(schedule, upcoming, holds, now)
  local is_over = tonumber(holds) > 0 and now > tonumber(holds)
  return redis.pcall('HGET', stem .. 'upcoming', schedule) ~= upcoming or is_over
end
