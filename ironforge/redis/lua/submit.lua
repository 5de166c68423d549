#!lua
-- Accepts jobs: all of them or, on an idempotency conflict, when a queue, the list of queues or memory is full, none.
-- KEYS  index, scheduled, parked, queues, totals, delayed, then streams with fair and turns, and the zsets declined, where needed, then whatever the
--         jobs name by number
-- ARGV  channel, width, streams, seconds, again, limit, most, most_keys, expiring, generations, then per job:
--         stream (number of its key), id, record, due ('' now | '+<ms>' from now | '<ms>' Unix time), mark ('' or, of a
--           job with a fairness key, `:<weight>:<key>`, and its limits)
--         with unique keys two more: `<kind>:<key>` ('': it has none), `<conflict>:<ms>:<most ms>` as `resolve` takes it
--         and in the long form four more: idempotency key (number, or 0), fingerprint (16 bytes, or 32 with the former
--           one, which a key may hold as well), done bucket (number; kept is the next; 0 where ids are not known),
--         place among the jobs with this key (from 0, in order)
--       width: arguments per job (5, 7, 9 or 11); streams: number of streams and so on; seconds for which an idempotency
--       key is remembered; again: whether ids may be known (0 or 1); limit: most jobs of a queue (0: none; else the keys are all
--       of the queues); most names of queues; most keys of limits in use; expiring: of each job that expires its number
--       and in how many ms, as in `0:60000,3:500`; generations: of the routes of idempotency keys,
--       `<number of the key>=<generation>` each, 0 where none is said
-- USES  stem, types, clock, delay, announce, limits, holders, admission, turns, places, lines, enqueue, pending, unique, line_types, kind_line, vacate, withdraw, family, parent, conflict, refusal
-- PLAIN types, clock, delay, announce, unlimited, turns, enqueue
--       for jobs of record version 1, which have no limits, unique keys or expiry (`newer` is false): each function costs
--       each call, whether it is used or not
-- Returns {'conflict', id of the first submission, 'w' where that is a workflow}, {'moved', id of the job, generation of the route that its key has},
--         {'full', queue, jobs in it, jobs to add, limit}, {'queues', names in use, names to add, limit},
--         {'keys', keys of limits in use, keys to add, limit},
--         {'limit', why (unknown, units, fifo), number of the job, of the limit (from 0), its name, units, burst},
--         {'duplicate', id of the job that has the unique key, letter of its place, number of the job that wants it}
--       or, flat, only for jobs that were not simply stored as asked:
--         number of the job, id, where it is (a location, its letter or a terminal record), and 1 when it was known
--         before, 2 when it stands for another one with its unique key, 3 for both; 4 more when it is that one from now on
-- A call of 10,000 jobs takes about 70 ms. That is long for a script, and it is what all-or-nothing costs.
width, streams, limit = tonumber(width), tonumber(streams), tonumber(limit)
local first = 11

local function due_of(text)
  if text == '' then return nil end
  local due = tonumber(text)
  if string.byte(text) == 43 then due = now + due end
  if due > now then return due end
end

local answers, known = {}, {}
local function number_of_job(at) return (at - first) / width end

local function answer(at, id, where, before)
  local n = #answers
  answers[n + 1], answers[n + 2] = number_of_job(at), id
  answers[n + 3], answers[n + 4] = where, before
end

-- Most calls touch neither the schedule nor a line nor the answers to keys. Where queues and totals are used, they are
-- found to be of the wrong type in front of the first write as well.
local touched = {index}
for key = 7, 6 + streams do touched[#touched + 1] = KEYS[key] end
local has_unique = width == 7 or width == 11
local more = has_unique and are_held(first, width) or #KEYS > 6 + streams
for at = first, #ARGV, width do
  if more or ARGV[at + 3] ~= '' or ARGV[at + 4] ~= '' then
    touched = KEYS
    break
  end
end
local wrong = wrong_type(touched)
if wrong then return wrong end

-- By job, as `at` says, and then each with its moment.
local expires, moments = {}, {}
if expiring ~= '' then
  for number, ms in string.gmatch(expiring, '(%d+):(%d+)') do expires[first + number * width] = now + ms end
  wrong = wrong_type({stem .. 'expiries'})
  if wrong then return wrong end
end

-- What a key holds: id, first state ('q' or 's'; of a job that stands for another one a capital) and fingerprint of its
-- first job, then id and state of the others. `stored`: how many jobs are new.
local earlier, given, stored = {}, {}, (#ARGV - first + 1) / width

if width > 5 then
  local generation_of = {}
  for key, generation in string.gmatch(generations, '(%d+)=(%-?%d+)') do
    generation_of[tonumber(key)] = tonumber(generation)
  end

  -- What an idempotency key says: the id with the state where it is known, what refuses the call, and where to note it.
  local function remembered(at)
    local key, nth = tonumber(ARGV[at + width - 4]), tonumber(ARGV[at + width - 1])
    local fingerprint, former = string.sub(ARGV[at + width - 3], 1, 16), string.sub(ARGV[at + width - 3], 17)
    if key == 0 then return end
    if not given[key] then
      local held = redis.call('GET', KEYS[key])
      local route = not held and 0 or tonumber(string.match(held, '^(%d+):%d+$'))
      if route and (generation_of[key] or 0) < route then return nil, {'moved', ARGV[at + 1], route} end
      if held and not route and #held % 17 ~= 16 then
        return nil, redis.error_reply('CORRUPT ' .. KEYS[key] .. ' holds no answer: delete it')
      end
      given[key], earlier[key] = {}, not route and held
    end
    local value, jobs = earlier[key] or given[key][1], given[key]
    local mark = value and string.sub(value, 18, 33)
    local other = value and {'conflict', string.sub(value, 1, 16), string.sub(value, 17, 17)}
    if value and mark ~= fingerprint and mark ~= former then return nil, other end
    local found = jobs[nth + 1]
    if earlier[key] then
      local start = nth == 0 and 1 or 17 + 17 * nth
      found = string.sub(value, start, start + 16)
      if found == '' then return nil, other end
    end
    return found, nil, not found and jobs, nth == 0 and fingerprint or ''
  end

  for at = first, #ARGV, width do
    local id, found, refused, jobs, fingerprint = ARGV[at + 1], nil, nil, nil, nil
    if width > 7 then found, refused, jobs, fingerprint = remembered(at) end
    if refused then return refused end
    if found then
      known[at] = true
      local letter = string.sub(found, 17, 17)
      local small = string.lower(letter)
      answer(at, string.sub(found, 1, 16), small, small == letter and 1 or 3)
    elseif again == '1' then
      local bucket = tonumber(ARGV[at + width - 2])
      local where = redis.call('HGET', index, id) or redis.call('HGET', KEYS[bucket], id)
        or redis.call('HGET', KEYS[bucket + 1], id)
      if where then
        known[at] = true
        answer(at, id, where, 1)
      end
    end
    local state = due_of(ARGV[at + 3]) and 's' or 'q'
    if has_unique and not known[at] and ARGV[at + 5] ~= '' then
      local other, letter, refused = resolve(at, id, due_of(ARGV[at + 3]), known, number_of_job(at))
      if refused then return refused end
      if other then
        id, state, known[at] = other, string.upper(letter), not stored_as[at] or nil
        answer(at, other, letter, (stored_as[at] or is_own[at]) and 6 or 2)
      end
    end
    if jobs then jobs[#jobs + 1] = id .. state .. fingerprint end
  end
  stored = stored - #answers / 4
end

local refused = newer and refusal(first, width, known, tonumber(most_keys))
if refused then return refused end

-- By the number of a stream's key, as the jobs give it: its name, and its queue. By name: the number of the key fair.
local names, queue_of, fair_of, length = {}, {}, {}, {}
for key = 7, 6 + streams do
  local word, name, queue = string.match(KEYS[key], '}:(%a+)(:([^:]*):.*)$')
  if word == 'q' then
    names[tostring(key)], queue_of[tostring(key)] = name, queue
  elseif word == 'fair' then
    fair_of[name] = key
  end
  if limit > 0 and word ~= 'turns' then
    length[queue] = (length[queue] or 0) + redis.call(word == 'q' and 'XLEN' or 'ZCARD', KEYS[key])
  end
end

-- Of each queue that gets jobs: how many go there at once. Those that are stored already need no place.
local entering, wanted = {}, {}
if limit > 0 or next(known) then
  for at = first, #ARGV, width do
    if not known[at] then
      local queue, before = queue_of[ARGV[at]], newer and stored_as[at] and stored_as[at].location or ''
      local stays = string.sub(before, 1, 1) ~= 's' and string.match(before, '^%a:([^:]*):') == queue
      local adds = not due_of(ARGV[at + 3]) and not stays
      entering[queue] = (entering[queue] or 0) + (adds and 1 or 0)
    end
  end
else
  for _, queue in pairs(queue_of) do entering[queue] = 0 end
end
for queue, jobs in pairs(entering) do
  wanted[#wanted + 1] = queue
  if limit > 0 and jobs > 0 and length[queue] + jobs > limit then return {'full', queue, length[queue], jobs, limit} end
end
local full = admit(queues, wanted, tonumber(most))
if full then return full end

-- Also when nothing is new: WAIT confirms what this connection wrote last, and a repetition must not be confirmed
-- by whatever came before it.
local counted = redis.pcall('HINCRBY', totals, 'submitted', stored)
wrong = type(counted) == 'table' and wrong_type({totals})
if wrong then return wrong end
if has_unique then take_keys(scheduled, parked, delayed) end
local located, waits, soonest = {}, {}, nil
for at = first, #ARGV, width do
  if not known[at] then
    local name, id, record, due, mark = names[ARGV[at]], ARGV[at + 1], ARGV[at + 2], due_of(ARGV[at + 3]), ARGV[at + 4]
    local stream, where, instead = KEYS[tonumber(ARGV[at])], nil, newer and stored_as[at]
    if instead then
      id, record = instead.id, under_id(record, instead.id)
      if due and instead.latest then due = instead.latest > now and math.min(due, instead.latest) or nil end
    end
    if expires[at] then
      record = with_expiry(record, expires[at])
      moments[#moments + 1], moments[#moments + 2] = expires[at], id
    end
    if due then
      redis.call('ZADD', scheduled, due, id)
      redis.call('HSET', parked, id, record)
      where = 's' .. name .. mark
      waits[name] = (waits[name] or 0) + 1
      if not soonest or due < soonest then soonest = due end
    else
      if mark ~= '' then
        local fair = fair_of[name]
        where = enqueue(stream, KEYS[fair], KEYS[fair + 1], id, record, mark)
      else
        where = 'q' .. name .. ':' .. redis.call('XADD', stream, '*', 'j', record)
      end
      if ARGV[at + 3] ~= '' then answer(at, id, where, instead and 6 or 0) end
    end
    local n = #located
    located[n + 1], located[n + 2] = id, where
  end
end
enqueued(parked)
in_parts('HSET', index, located)
if moments[1] then in_parts('ZADD', stem .. 'expiries', moments) end
for place, jobs in pairs(waits) do delay(delayed, place, jobs) end
for key, jobs in pairs(given) do
  if not earlier[key] then redis.call('SET', KEYS[key], table.concat(jobs), 'EX', seconds) end
end
if soonest then announce(scheduled, channel, soonest, now) end
return answers
