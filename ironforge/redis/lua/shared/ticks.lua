-- Ticks of schedules that are to be fired (with `count` and `history`), as the last argument has them: a msgpack array of
-- arrays, each with a word per schedule, which is several times cheaper than as many arguments:
--   name, seen (where it is), last (the id of its last run in that, or ''), goes (where it goes; the id of its last run is put
--   behind), look (when to look at it next, '': never, '=': as before), runs (how many start), time of the tick, or
--   `<first>-<last>`, when that fires (ms; 0: now),
--   overlap ('' it starts whatever runs, 's' not while the last run has not ended, 'q<n>' behind it, but not behind n that
--   wait), reason, holds (until when, ms; 0: for ever: later which ticks start is to be decided anew),
--   skipped (ticks before this one that start nothing, as `note_skipped` takes them, or '')
local names, seen, last, goes, looks, runs, times, fires, overlaps, reasons, holds, skips = unpack(cmsgpack.unpack(table.remove(ARGV)))
local ticks, upcoming, problems = stem .. 'ticks', stem .. 'upcoming', stem .. 'problems'
local wrong_ticks = wrong_type({stem .. 'schedules', ticks, upcoming})
if wrong_ticks then return wrong_ticks end

-- What is asked of each schedule is asked for at once: a call costs more than what it does.
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
local places_of_lasts = lasts[1] and redis.call('HMGET', stem .. 'index', unpack(lasts))

-- What is to become of one, by this time. `is_full`: says whether as many runs wait as may.
local function verdict_of(at, now, is_full)
  if where_now[at] ~= seen[at] or (holds[at] > 0 and now > holds[at]) then return 'moved' end
  if fires[at] > now then return 'early' end
  if runs[at] == 0 then return 'skipped' end
  local where = number_of_last[at] and places_of_lasts[number_of_last[at]]
  if where and where ~= 'd' then return 'skipped' end
  local most = string.byte(overlaps[at]) == 113 and tonumber(string.sub(overlaps[at], 2))
  return most and is_full(at, most) and 'skipped' or 'started'
end

-- Moves all on of which that is the verdict, with the id of the last run that each started. `differs`: whose id is another one than was
-- asked for; `mark`: stands behind each of these ids where they are kept, 'w' of a workflow. Returns what is to be told of those that did not simply start.
local function move_on(now, verdicts, ids, differs, mark)
  local reply, started, skipped = {now}, 0, 0
  local function skip(at, words)
    note_skipped(histories[at], words)
    skipped = skipped + string.match(words, '^%d+:%d+:(%d+)')
  end
  local moves, coming, without, well = {}, {}, {}, {}
  for at, name in ipairs(names) do
    local verdict = verdicts[at]
    local id = verdict == 'started' and ids[at] or last[at]
    local run = id .. (verdict == 'started' and mark or string.sub(seen[at], -#last[at] - 1) == last[at] .. 'w' and 'w' or '')
    if verdict == 'started' or verdict == 'skipped' then
      if skips[at] ~= '' then skip(at, skips[at]) end
      if verdict == 'started' then
        local late = fires[at] > 0 and now - fires[at] or 0
        note(histories[at], '+' .. times[at] .. ':' .. late .. ':' .. runs[at] .. ':' .. reasons[at] .. ':' .. run)
        started = started + runs[at]
        well[#well + 1] = name
      elseif runs[at] > 0 then
        skip(at, string.format('%s:%s:1:overlap', times[at], times[at]))
      end
      local n = #moves
      moves[n + 1], moves[n + 2] = name, goes[at] .. run
      if looks[at] == '' then
        without[#without + 1] = name
      elseif looks[at] ~= '=' then
        n = #coming
        coming[n + 1], coming[n + 2] = looks[at], name
      end
    end
    if verdict ~= 'started' or differs[at] then
      local n = #reply
      reply[n + 1], reply[n + 2], reply[n + 3] = at - 1, verdict, id
    end
  end
  in_parts('HSET', upcoming, moves)
  in_parts('ZADD', ticks, coming)
  in_parts('ZREM', ticks, without)
  if well[1] and redis.call('EXISTS', problems) == 1 then redis.pcall('HDEL', problems, unpack(well)) end
  count(stem .. 'totals', 'ticks_started', started)
  count(stem .. 'totals', 'ticks_skipped', skipped)
  return reply
end
