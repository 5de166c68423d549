-- Workflows that wait for those which their schedule has started before (with `go_on`): of the list of a schedule the first one
-- runs, the others are held back, which is a pause that ends by itself.
local HELD = 2
local runs_of = stem .. 'runsof'

local function runs_list(schedule) return stem .. 'runs:' .. schedule end

-- The first that goes on. What has ended without being taken out, as nothing that ends it could, is in nobody's way.
local function first_run(schedule)
  local list = runs_list(schedule)
  while true do
    local id = redis.call('LINDEX', list, 0)
    if not id then return end
    local head = live_head(id)
    if head then return id, head end
    redis.call('LPOP', list)
    redis.call('HDEL', runs_of, id)
  end
end

-- One that the schedule has just started: it is held back where others are in front of it.
local function join_runs(schedule, id)
  local is_behind = first_run(schedule) ~= nil
  redis.call('RPUSH', runs_list(schedule), id)
  redis.call('HSET', runs_of, id, schedule)
  if is_behind then redis.call('SETRANGE', progress_of(id), PAUSED_AT, string.char(HELD)) end
end

-- Has the first one run that may: it was held back until now.
local function run_first(schedule, at_ms)
  local id, head = first_run(schedule)
  if head and head.paused == HELD then go_on(id, head.generation, at_ms) end
end

-- A workflow has ended.
local function leave_runs(id, at_ms)
  local schedule = redis.call('HGET', runs_of, id)
  if not schedule then return end
  redis.call('HDEL', runs_of, id)
  redis.call('LREM', runs_list(schedule), 0, id)
  run_first(schedule, at_ms)
  redis.call('PUBLISH', stem .. 'signals', 'due:0')
end

-- In front of the first write: an error for a key of the wrong type among those that are written when it ends, or nothing.
local function wrong_runs(id)
  local wrong = wrong_type({runs_of})
  if wrong then return wrong end
  local schedule = redis.call('HGET', runs_of, id)
  if not schedule then return end
  return wrong_type({runs_list(schedule)})
end
