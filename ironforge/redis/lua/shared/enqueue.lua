-- Shared by scripts that put queues to use, or jobs into them. A job with a fairness key goes to its stream only while nothing waits;
-- else it waits for its turn: max(turn of what was taken last, end of the last turn of its key). One with limits joins
-- the line of the first of them.
local lines, joined = {}, {}

-- Of a stream without its group everything, and then true: to make one is for `groups` alone, which knows whether one
-- was there before and who ran what is forgotten.
local function undelivered(stream)
  local length = redis.call('XLEN', stream)
  if length == 0 then return 0 end
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    if group[2] == 'nodes' then return math.max(0, length - group[6]) end
  end
  return length, true
end

local function in_parts(command, key, words)
  for at = 1, #words, 2000 do redis.call(command, key, unpack(words, at, math.min(at + 1999, #words))) end
end

-- Takes the names of queues into use, unless they would be too many: then it says so, as {'queues', names in use, names
-- to add, limit}.
local function admit(queues, names, most)
  local fresh = {}
  for _, name in ipairs(names) do
    if redis.call('SISMEMBER', queues, name) == 0 then fresh[#fresh + 1] = name end
  end
  if #fresh == 0 then return end
  local used = redis.call('SCARD', queues)
  if used + #fresh > most then return {'queues', used, #fresh, most} end
  in_parts('SADD', queues, fresh)
end

local function turns_at(fair, turns)
  if not lines[fair] then
    local line = {turns = turns, ends = {}, starts = {}, records = {}, soonest = math.huge}
    line.waits = redis.call('ZCARD', fair) > 0
    line.now = tonumber(redis.call('ZSCORE', turns, '') or 0)
    lines[fair] = line
  end
  return lines[fair]
end

-- Among the turns, with the next one of its key; written by `enqueued`.
local function stand(line, id, mark)
  line.waits = true
  local weight, key = string.match(mark, '^:(%d+):([^\n]+)')
  local start = math.max(line.now, line.ends[key] or tonumber(redis.call('ZSCORE', line.turns, key) or 0))
  line.ends[key] = start + 1 / tonumber(weight)
  line.soonest = math.min(line.soonest, start)
  local n = #line.starts
  line.starts[n + 1], line.starts[n + 2] = start, id
end

-- Lets the head of a line stand among the turns, where its key has room or does not let it wait; true when it came there
-- now and has room. `place`: `<queue>:<priority>`.
local function offer(place, key)
  local line, behind = stem .. 'line:' .. place .. ':' .. key, stem .. 'behind:' .. place
  local head = redis.pcall('ZRANGE', line, 0, 0)
  if head.err then return end
  if not head[1] then
    redis.call('SREM', stem .. 'places:' .. key, place)
    return
  end
  if not redis.call('ZSCORE', behind, head[1]) then return end
  local where = joined[head[1]] or redis.call('HGET', stem .. 'index', head[1])
  local mark = string.match(where or '', '^l:[^:]*:%d(:.*)$')
  if not mark then return end
  local claim = claims_of(mark)[1]
  local wait = closed(claim, head[1])
  if wait and (definition(claim.name).when_full or 'wait') == 'wait' then
    if wait > 0 then redis.call('ZADD', stem .. 'dueroom', math.ceil((micros() + wait) / 1000), key) end
    return
  end
  redis.call('ZREM', behind, head[1])
  stand(turns_at(stem .. 'fair:' .. place, stem .. 'turns:' .. place), head[1], mark)
  freed = true
  return not wait
end

local arrivals, arriving = {}, 0

local function join(stream, id, record, mark)
  local claims, since = claims_of(mark)
  local place, key = string.match(stream, '}:q:(.*)$'), claims[1].key
  local name = place .. ':' .. key
  local line = arrivals[name]
  if not line then
    line = {place = place, claim = claims[1], words = {}, records = {}}
    arrivals[name] = line
  end
  local n = #line.words
  local came = since == '' and micros() + arriving or tonumber(since) * 1000
  -- One that has kept its place is the first: others come before it by a clock that was put back, or as they are revived,
  -- and wait for it.
  if since ~= '' and redis.pcall('ZSCORE', stem .. 'holders:' .. key, id) then came = 0 end
  line.words[n + 1] = string.format('%.0f', came)
  line.words[n + 2] = id
  line.records[n + 1], line.records[n + 2] = id, record
  arriving = arriving + 1
  joined[id] = 'l:' .. place .. mark
  return joined[id]
end

-- mark: '' or ':<weight>:<fairness key>' and its limits. Returns where the job is, for the index; what waits is written by
-- `enqueued`, all at once.
local function enqueue(stream, fair, turns, id, record, mark)
  if is_limited(mark) then return join(stream, id, record, mark) end
  local line = mark ~= '' and turns_at(fair, turns)
  if not line or not line.waits and undelivered(stream) == 0 then
    return string.match(stream, '}:(q:.*)$') .. ':' .. redis.call('XADD', stream, '*', 'j', record)
  end
  stand(line, id, mark)
  local n = #line.records
  line.records[n + 1], line.records[n + 2] = id, record
  return 'f' .. string.match(stream, '}:q(:.*)$') .. mark
end

local function enqueued(parked)
  for name, line in pairs(arrivals) do
    in_parts('ZADD', stem .. 'line:' .. name, line.words)
    in_parts('ZADD', stem .. 'behind:' .. line.place, line.words)
    in_parts('HSET', parked, line.records)
    redis.call('SADD', stem .. 'places:' .. line.claim.key, line.place)
    redis.call('SADD', stem .. 'inuse', line.claim.key)
    offer(line.place, line.claim.key)
  end
  for fair, line in pairs(lines) do
    for key, ends in pairs(line.ends) do redis.call('ZADD', line.turns, ends, key) end
    in_parts('ZADD', fair, line.starts)
    in_parts('HSET', parked, line.records)
  end
  arrivals, lines = {}, {}
  tell_of_room()
end

-- Gives the turn of one that stood back, or its key would wait for jobs that never ran.
local function give_back(turns, mark)
  local weight, key = string.match(mark, '^:(%d+):([^\n]+)')
  if weight and redis.call('ZSCORE', turns, key) then redis.call('ZINCRBY', turns, -1 / tonumber(weight), key) end
end
