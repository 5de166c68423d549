#!lua
-- Moves schedules on, each from where it was seen, and submits the jobs of their ticks: all in one, whoever asks for it and however
-- often. Where `submit` refuses a job nothing is done at all.
-- KEYS  those of `submit`
-- ARGV  those of `submit`, whose jobs are in the order of the schedules; then per schedule:
--         name, seen (where it is), goes (where it goes; the id of its last job is put behind), look (when to look at it next,
--         '': never, '=': as before), jobs, time of the tick, when that fires (ms; 0: now), overlap ('' the job starts whatever runs,
--         's' not while the last one has not ended, 'q<n>' behind it, but not behind n that wait), reason,
--         skipped (ticks before this one that start nothing, as `note_skipped` takes them, or '')
--       and last, how many schedules
-- RUNS  submit
-- USES  stem, clock, count, history
-- Returns {'refused', what `submit` says}, or the time and for each schedule: started, skipped, early or moved, and the id of its job
local FIELDS, FIRST_JOB = 10, 11
local RUNS_ONE_BY_ONE = '{"limit":{"concurrency":1,"order":"fifo","on_failure":"block"}}'
local wrong = wrong_type({stem .. 'schedules', stem .. 'ticks', stem .. 'upcoming'})
if wrong then return wrong end

-- Cuts off what is not for `submit`.
local shots, ends = {}, #ARGV
for at = ends - ARGV[ends] * FIELDS, ends - 1, FIELDS do
  local name, seen, goes, look, jobs, time, fires, overlap, reason, skipped = unpack(ARGV, at, at + FIELDS - 1)
  local shot = {name = name, seen = seen, goes = goes, look = look, jobs = tonumber(jobs), time = time, skipped = skipped}
  shot.fires, shot.overlap, shot.reason, shot.history = tonumber(fires), overlap, reason, stem .. 'history:' .. name
  shot.last = string.match(seen, '^[^:]*:%d*:%d*:(.*)$') or ''
  shots[#shots + 1] = shot
  wrong = wrong or wrong_type({shot.history})
end
if wrong then return wrong end
for at = ends, ends - #shots * FIELDS, -1 do ARGV[at] = nil end

-- Whether runs of a schedule wait already, as many as may. They wait behind a limit of its own, the last one of its job.
local function is_full(mark, most)
  local claims = claims_of(mark)
  local claim = claims[#claims]
  if not definition(claim.name) then
    redis.call('HSET', stem .. 'limits', claim.name, RUNS_ONE_BY_ONE)
    definitions[claim.name] = nil
  end
  local waiting = 0
  for _, place in ipairs(places_of({claim.key})[1]) do waiting = waiting + redis.call('ZCARD', line_of(place, claim.key)) end
  return waiting >= most
end

local function verdict(shot, mark)
  if redis.call('HGET', stem .. 'upcoming', shot.name) ~= shot.seen then return 'moved' end
  if shot.fires > now then return 'early' end
  if shot.jobs == 0 then return 'skipped' end
  local most = tonumber(string.match(shot.overlap, '^q(%d+)$'))
  local where = shot.overlap == 's' and shot.last ~= '' and redis.call('HGET', index, shot.last)
  if where and where ~= 'd' or most and is_full(mark, most) then return 'skipped' end
  return 'started'
end

-- Leaves in the call the jobs that start, and their moments of expiry by their new numbers.
local width, number, kept, places = tonumber(ARGV[2]), 0, 0, {}
for _, shot in ipairs(shots) do
  local from = FIRST_JOB + number * width
  shot.verdict = verdict(shot, ARGV[from + 4])
  shot.first = kept
  for job = number, number + shot.jobs - 1 do
    if shot.verdict == 'started' then
      for word = 0, width - 1 do ARGV[FIRST_JOB + kept * width + word] = ARGV[FIRST_JOB + job * width + word] end
      places[job], kept = kept, kept + 1
    end
  end
  number = number + shot.jobs
end
for at = #ARGV, FIRST_JOB + kept * width, -1 do ARGV[at] = nil end
ARGV[9] = string.gsub(ARGV[9], '(%d+):(%d+)', function(job, ms)
  local place = places[tonumber(job)]
  return place and string.format('%d:%s', place, ms) or ''
end)

local ids = {}
for job = 0, kept - 1 do ids[job] = ARGV[FIRST_JOB + job * width + 1] end
local answers = kept > 0 and submit() or {}
if answers.err then return answers end
if type(answers[1]) == 'string' then return {'refused', answers} end
-- Of a job that another one with its unique key stands for: that one's id.
for at = 1, #answers, 4 do ids[answers[at]] = answers[at + 1] end

local reply, started, skipped = {now}, 0, 0
local function skip(shot, words)
  note_skipped(shot.history, words)
  skipped = skipped + string.match(words, '^%d+:%d+:(%d+)')
end
for _, shot in ipairs(shots) do
  local id = shot.verdict == 'started' and ids[shot.first + shot.jobs - 1] or shot.last
  if shot.verdict == 'started' or shot.verdict == 'skipped' then
    if shot.skipped ~= '' then skip(shot, shot.skipped) end
    if shot.verdict == 'started' then
      local late = math.max(0, now - (shot.fires > 0 and shot.fires or now))
      note(shot.history, string.format('+%s:%.0f:%d:%s:', shot.time, late, shot.jobs, shot.reason) .. id)
      started = started + shot.jobs
    elseif shot.jobs > 0 then
      skip(shot, string.format('%s:%s:1:overlap', shot.time, shot.time))
    end
    redis.call('HSET', stem .. 'upcoming', shot.name, shot.goes .. id)
    if shot.look == '' then
      redis.call('ZREM', stem .. 'ticks', shot.name)
    elseif shot.look ~= '=' then
      redis.call('ZADD', stem .. 'ticks', shot.look, shot.name)
    end
  end
  reply[#reply + 1], reply[#reply + 2] = shot.verdict, id
end
count(totals, 'ticks_started', started)
count(totals, 'ticks_skipped', skipped)
return reply
