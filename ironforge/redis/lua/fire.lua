#!lua
-- Moves schedules on, each from where it was seen, and submits the jobs of their ticks: all in one, whoever asks for it and however
-- often. Where `submit` refuses a job nothing is done at all.
-- KEYS  those of `submit`
-- ARGV  those of `submit`, whose jobs are in the order of the schedules; then a msgpack array of arrays, each with a word per
--       schedule, which is several times cheaper than as many arguments:
--         name, seen (where it is), last (the id of its last job in that, or ''), goes (where it goes; the id of its last job is put
--         behind), look (when to look at it next, '': never, '=': as before), jobs, time of the tick, or `<first>-<last>`, when that fires
--         (ms; 0: now),
--         overlap ('' the job starts whatever runs, 's' not while the last one has not ended, 'q<n>' behind it, but not
--         behind n that wait), reason, holds (until when, ms; 0: for ever: later which ticks start is to be decided anew),
--         skipped (ticks before this one that start nothing, as `note_skipped` takes them, or '')
-- RUNS  submit
-- USES  stem, clock, count, history
-- Returns {time, 'refused', what `submit` says}, or the time and, flat, only of schedules whose job did not simply start under
--         its id: number (from 0), what became of it: started (another job stands for its one), skipped, early or moved (also what
--         holds no longer), and the id of its last job
local FIRST_JOB = 11
local RUNS_ONE_BY_ONE = '{"limit":{"concurrency":1,"order":"fifo","on_failure":"block"}}'
local ticks, upcoming, problems = stem .. 'ticks', stem .. 'upcoming', stem .. 'problems'
local wrong = wrong_type({stem .. 'schedules', ticks, upcoming})
if wrong then return wrong end

-- What is asked of each schedule is asked for at once: a call costs more than what it does.
local names, seen, last, goes, looks, jobs, times, fires, overlaps, reasons, holds, skips = unpack(cmsgpack.unpack(table.remove(ARGV)))
local where_now, histories, lasts, number_of_last = redis.call('HMGET', upcoming, unpack(names)), {}, {}, {}
for at, name in ipairs(names) do
  local history = stem .. 'history:' .. name
  if type(redis.pcall('LINDEX', history, 0)) == 'table' then return wrong_type({history}) end
  histories[at] = history
  if overlaps[at] == 's' and last[at] ~= '' then
    lasts[#lasts + 1] = last[at]
    number_of_last[at] = #lasts
  end
end
local places_of_lasts = lasts[1] and redis.call('HMGET', index, unpack(lasts))

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

local function verdict(at, mark)
  if where_now[at] ~= seen[at] or (holds[at] > 0 and now > holds[at]) then return 'moved' end
  if fires[at] > now then return 'early' end
  if jobs[at] == 0 then return 'skipped' end
  local where = number_of_last[at] and places_of_lasts[number_of_last[at]]
  if where and where ~= 'd' then return 'skipped' end
  local most = string.byte(overlaps[at]) == 113 and tonumber(string.sub(overlaps[at], 2))
  return most and is_full(mark, most) and 'skipped' or 'started'
end

-- Leaves in the call the jobs that start, and their moments of expiry by their new numbers.
local width, number, kept, places, verdicts, firsts = tonumber(ARGV[2]), 0, 0, {}, {}, {}
for at, count in ipairs(jobs) do
  verdicts[at], firsts[at] = verdict(at, ARGV[FIRST_JOB + number * width + 4]), kept
  for job = number, number + count - 1 do
    if verdicts[at] == 'started' then
      if kept < job then
        for word = 0, width - 1 do ARGV[FIRST_JOB + kept * width + word] = ARGV[FIRST_JOB + job * width + word] end
      end
      places[job], kept = kept, kept + 1
    end
  end
  number = number + count
end
if kept < number then
  for at = #ARGV, FIRST_JOB + kept * width, -1 do ARGV[at] = nil end
  ARGV[9] = string.gsub(ARGV[9], '(%d+):(%d+)', function(job, ms)
    local place = places[tonumber(job)]
    return place and string.format('%d:%s', place, ms) or ''
  end)
end

local ids = {}
for job = 0, kept - 1 do ids[job] = ARGV[FIRST_JOB + job * width + 1] end
local answers = kept > 0 and submit() or {}
if answers.err then return answers end
if type(answers[1]) == 'string' then return {now, 'refused', answers} end
-- Of a job that another one with its unique key stands for: that one's id.
local stands_for = {}
for at = 1, #answers, 4 do
  ids[answers[at]] = answers[at + 1]
  stands_for[answers[at]] = answers[at + 3] >= 2
end

local reply, started, skipped = {now}, 0, 0
local function skip(at, words)
  note_skipped(histories[at], words)
  skipped = skipped + string.match(words, '^%d+:%d+:(%d+)')
end
local moves, coming, without, well = {}, {}, {}, {}
for at, name in ipairs(names) do
  local verdict, final = verdicts[at], firsts[at] + jobs[at] - 1
  local id = verdict == 'started' and ids[final] or last[at]
  if verdict == 'started' or verdict == 'skipped' then
    if skips[at] ~= '' then skip(at, skips[at]) end
    if verdict == 'started' then
      local late = fires[at] > 0 and now - fires[at] or 0
      note(histories[at], '+' .. times[at] .. ':' .. late .. ':' .. jobs[at] .. ':' .. reasons[at] .. ':' .. id)
      started = started + jobs[at]
      well[#well + 1] = name
    elseif jobs[at] > 0 then
      skip(at, string.format('%s:%s:1:overlap', times[at], times[at]))
    end
    local n = #moves
    moves[n + 1], moves[n + 2] = name, goes[at] .. id
    if looks[at] == '' then
      without[#without + 1] = name
    elseif looks[at] ~= '=' then
      n = #coming
      coming[n + 1], coming[n + 2] = looks[at], name
    end
  end
  if verdict ~= 'started' or stands_for[final] then
    local n = #reply
    reply[n + 1], reply[n + 2], reply[n + 3] = at - 1, verdict, id
  end
end
in_parts('HSET', upcoming, moves)
in_parts('ZADD', ticks, coming)
in_parts('ZREM', ticks, without)
if well[1] and redis.call('EXISTS', problems) == 1 then redis.pcall('HDEL', problems, unpack(well)) end
count(totals, 'ticks_started', started)
count(totals, 'ticks_skipped', skipped)
return reply
