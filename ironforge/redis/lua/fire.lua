#!lua
-- Moves schedules on, each from where it was seen, and submits the jobs of their ticks: all in one, whoever asks for it and however
-- often. Where `submit` refuses a job nothing is done at all.
-- KEYS  those of `submit`
-- ARGV  those of `submit`, whose jobs are in the order of the schedules; then the ticks, as `ticks` has them
-- RUNS  submit
-- USES  stem, clock, count, history, ticks
-- Returns {time, 'refused', what `submit` says}, or the time and, flat, only of schedules whose job did not simply start under
--         its id: number (from 0), what became of it: started (another job stands for its one), skipped, early or moved (also what
--         holds no longer), and the id of its last job
local FIRST_JOB = 11
local RUNS_ONE_BY_ONE = '{"limit":{"concurrency":1,"order":"fifo","on_failure":"block"}}'
local width, number, kept, places, verdicts, firsts = tonumber(ARGV[2]), 0, 0, {}, {}, {}

-- Whether runs of a schedule wait already, as many as may. They wait behind a limit of its own, the last one of its job.
local function is_full(_, most)
  local claims = claims_of(ARGV[FIRST_JOB + number * width + 4])
  local claim = claims[#claims]
  if not definition(claim.name) then
    redis.call('HSET', stem .. 'limits', claim.name, RUNS_ONE_BY_ONE)
    definitions[claim.name] = nil
  end
  local waiting = 0
  for _, place in ipairs(places_of({claim.key})[1]) do waiting = waiting + redis.call('ZCARD', line_of(place, claim.key)) end
  return waiting >= most
end

-- Leaves in the call the jobs that start, and their moments of expiry by their new numbers.
for at, jobs in ipairs(runs) do
  verdicts[at], firsts[at] = verdict_of(at, now, is_full), kept
  for job = number, number + jobs - 1 do
    if verdicts[at] == 'started' then
      if kept < job then
        for word = 0, width - 1 do ARGV[FIRST_JOB + kept * width + word] = ARGV[FIRST_JOB + job * width + word] end
      end
      places[job], kept = kept, kept + 1
    end
  end
  number = number + jobs
end
if kept < number then
  for at = #ARGV, FIRST_JOB + kept * width, -1 do ARGV[at] = nil end
  ARGV[9] = string.gsub(ARGV[9], '(%d+):(%d+)', function(job, ms)
    local place = places[tonumber(job)]
    return place and string.format('%d:%s', place, ms) or ''
  end)
end

local made = {}
for job = 0, kept - 1 do made[job] = ARGV[FIRST_JOB + job * width + 1] end
local answers = kept > 0 and submit() or {}
if answers.err then return answers end
if type(answers[1]) == 'string' then return {now, 'refused', answers} end
-- Of a job that another one with its unique key stands for: that one's id.
local stands_for = {}
for at = 1, #answers, 4 do
  made[answers[at]] = answers[at + 1]
  stands_for[answers[at]] = answers[at + 3] >= 2
end
local ids, differs = {}, {}
for at, jobs in ipairs(runs) do
  local final = firsts[at] + jobs - 1
  ids[at], differs[at] = made[final], stands_for[final]
end
return move_on(now, verdicts, ids, differs, '')
