#!lua
-- Accepts jobs: all of them or, on an idempotency conflict, when a queue, the list of queues or memory is full, none.
-- KEYS  index, scheduled, parked, queues, totals, delayed, then streams with fair and turns where needed, then whatever the
--         jobs name by number
-- ARGV  channel, arguments per job (4 or 8), number of streams and so on, idempotency seconds, again (0 or 1),
--       most jobs of a queue (0: no limit; else the keys are all of the queues), most names of queues, then per job:
--         stream (number of its key; for a job with a fairness key followed by a comma, the number of fair, which
--           turns follows, and `:<weight>:<fairness key>`), id, record, due ('' now | '+<ms>' from now | '<ms>' Unix time)
--         and in the long form: idempotency key (number, or 0), fingerprint (16 bytes, or 32 with the former
--           one, which a key may hold as well), done bucket (number; kept is the next),
--         place among the jobs with this key (from 0, in order)
-- Returns {'conflict', id of the first submission}, {'full', queue, jobs in it, jobs to add, limit},
--         {'queues', names in use, names to add, limit}
--       or, flat, only for jobs that were not simply stored as asked:
--         number of the job, id, where it is (a location or a terminal record), known before (0 or 1)
-- A call of 10,000 jobs takes about 70 ms. That is long for a script, and it is what all-or-nothing costs.
local index, scheduled, parked, queues, totals, delayed = unpack(KEYS, 1, 6)
local channel, width, streams, seconds = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local again, limit, most = ARGV[5] == '1', tonumber(ARGV[6]), tonumber(ARGV[7])
local first = 8
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function due_of(text)
  if text == '' then return nil end
  local due = tonumber(text)
  if string.byte(text) == 43 then due = now + due end
  if due > now then return due end
end

-- The last of the streams and so on: jobs without a fairness key are not asked for one.
local keyed = string.match(KEYS[6 + streams], '}:turns:')

local function place_of(text)
  local stream, fair, mark = string.match(text, '^(%d+),(%d+)(:.*)$')
  return tonumber(stream), tonumber(fair), mark
end

local answers, known = {}, {}
local function answer(at, id, where, before)
  local n = #answers
  answers[n + 1], answers[n + 2] = (at - first) / width, id
  answers[n + 3], answers[n + 4] = where, before
end

-- What a key holds: id, first state ('q' or 's') and fingerprint of its first job, then id and state of the others.
local earlier, given = {}, {}
if width == 8 then
  for at = first, #ARGV, width do
    local id, key = ARGV[at + 1], tonumber(ARGV[at + 4])
    local fingerprint, former = string.sub(ARGV[at + 5], 1, 16), string.sub(ARGV[at + 5], 17)
    local nth = tonumber(ARGV[at + 7])
    if key > 0 then
      if not given[key] then
        local wrong = misfit(KEYS[key])
        if wrong then return wrong end
        given[key], earlier[key] = {}, redis.call('GET', KEYS[key])
        if earlier[key] and #earlier[key] % 17 ~= 16 then
          return redis.error_reply('CORRUPT ' .. KEYS[key] .. ' holds no answer: delete it')
        end
      end
      local value, jobs = earlier[key] or given[key][1], given[key]
      local mark = value and string.sub(value, 18, 33)
      if value and mark ~= fingerprint and mark ~= former then return {'conflict', string.sub(value, 1, 16)} end
      local found = jobs[nth + 1]
      if earlier[key] then
        local start = nth == 0 and 1 or 17 + 17 * nth
        found = string.sub(value, start, start + 16)
        if found == '' then return {'conflict', string.sub(value, 1, 16)} end
      end
      if found then
        known[at] = true
        answer(at, string.sub(found, 1, 16), string.sub(found, 17, 17), 1)
      else
        jobs[#jobs + 1] = id .. (due_of(ARGV[at + 3]) and 's' or 'q') .. (nth == 0 and fingerprint or '')
      end
    end
    if again and not known[at] then
      local bucket = tonumber(ARGV[at + 6])
      local wrong = misfit(index) or misfits(bucket, bucket + 1)
      if wrong then return wrong end
      local where = redis.call('HGET', index, id) or redis.call('HGET', KEYS[bucket], id)
        or redis.call('HGET', KEYS[bucket + 1], id)
      if where then
        known[at] = true
        answer(at, id, where, 1)
      end
    end
  end
end

local wrong = misfit(index) or misfits(7, 6 + streams)
for at = first, #ARGV, width do
  if not wrong and not known[at] and (ARGV[at + 3] ~= '' or keyed and not tonumber(ARGV[at])) then
    wrong = misfits(2, 3)
    break
  end
end
if wrong then return wrong end

if limit > 0 then
  local queue_of, length, wanted = {}, {}, {}
  for key = 7, 6 + streams do
    local word, queue = string.match(KEYS[key], '}:(%a+):(.*):%d[ra]?$')
    queue_of[key] = queue
    if word ~= 'turns' then
      length[queue] = (length[queue] or 0) + redis.call(word == 'q' and 'XLEN' or 'ZCARD', KEYS[key])
    end
  end
  for at = first, #ARGV, width do
    if not known[at] and not due_of(ARGV[at + 3]) then
      local queue = queue_of[tonumber(ARGV[at]) or place_of(ARGV[at])]
      wanted[queue] = (wanted[queue] or 0) + 1
    end
  end
  for queue, count in pairs(wanted) do
    if length[queue] + count > limit then return {'full', queue, length[queue], count, limit} end
  end
end

local names, needed = {}, {}
for key = 7, 6 + streams do
  names[key] = string.match(KEYS[key], '}:q(:.*)$')
  if names[key] then needed[string.match(names[key], '^:(.*):%d[ra]?$')] = true end
end
if next(known) then
  -- Those that are stored already need no place.
  needed = {}
  for at = first, #ARGV, width do
    if not known[at] then
      needed[string.match(names[tonumber(ARGV[at]) or place_of(ARGV[at])], '^:(.*):%d[ra]?$')] = true
    end
  end
end
local wanted = {}
for name in pairs(needed) do wanted[#wanted + 1] = name end
local full = admit(queues, wanted, most)
if full then return full end

local located, waits, soonest, stored = {}, {}, nil, 0
for at = first, #ARGV, width do
  if not known[at] then
    local stream, fair, mark = tonumber(ARGV[at]), nil, ''
    if not stream then stream, fair, mark = place_of(ARGV[at]) end
    local id, due = ARGV[at + 1], due_of(ARGV[at + 3])
    local where
    if due then
      redis.call('ZADD', scheduled, due, id)
      redis.call('HSET', parked, id, ARGV[at + 2])
      where = 's' .. names[stream] .. mark
      waits[names[stream]] = (waits[names[stream]] or 0) + 1
      if not soonest or due < soonest then soonest = due end
    else
      if fair then
        where = enqueue(KEYS[stream], KEYS[fair], KEYS[fair + 1], id, ARGV[at + 2], mark)
      else
        where = 'q' .. names[stream] .. ':' .. redis.call('XADD', KEYS[stream], '*', 'j', ARGV[at + 2])
      end
      if ARGV[at + 3] ~= '' then answer(at, id, where, 0) end
    end
    stored = stored + 1
    located[2 * stored - 1], located[2 * stored] = id, where
  end
end
enqueued(parked)
in_parts('HSET', index, located)
for place, count in pairs(waits) do delay(delayed, place, count) end
for key, jobs in pairs(given) do
  if not earlier[key] then redis.call('SET', KEYS[key], table.concat(jobs), 'EX', seconds) end
end
-- Also when nothing is new: WAIT confirms what this connection wrote last, and a repetition must not be confirmed
-- by whatever came before it.
redis.pcall('HINCRBY', totals, 'submitted', stored)
if soonest then
  local earliest = tonumber(redis.call('ZRANGE', scheduled, 0, 0, 'WITHSCORES')[2])
  if earliest == soonest then redis.call('PUBLISH', channel, 'due:' .. (soonest - now)) end
end
return answers
