-- Shared by scripts that put queues to use, or jobs into them. A job with a fairness key goes to its stream only while nothing waits;
-- else it waits for its turn: max(turn of what was taken last, end of the last turn of its key).
local lines = {}

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

-- mark: '' or ':<weight>:<fairness key>'. Returns where the job is, for the index; what waits is written by
-- `enqueued`, all at once.
local function enqueue(stream, fair, turns, id, record, mark)
  local line = mark ~= '' and lines[fair]
  if mark ~= '' and not line then
    line = {turns = turns, ends = {}, starts = {}, records = {}}
    line.waits = redis.call('ZCARD', fair) > 0
    line.now = tonumber(redis.call('ZSCORE', turns, '') or 0)
    lines[fair] = line
  end
  if not line or not line.waits and undelivered(stream) == 0 then
    return string.match(stream, '}:(q:.*)$') .. ':' .. redis.call('XADD', stream, '*', 'j', record)
  end
  line.waits = true
  local weight, key = string.match(mark, '^:(%d+):(.+)$')
  local start = math.max(line.now, line.ends[key] or tonumber(redis.call('ZSCORE', turns, key) or 0))
  line.ends[key] = start + 1 / tonumber(weight)
  local n = #line.starts
  line.starts[n + 1], line.starts[n + 2] = start, id
  line.records[n + 1], line.records[n + 2] = id, record
  return 'f' .. string.match(stream, '}:q(:.*)$') .. mark
end

local function enqueued(parked)
  for fair, line in pairs(lines) do
    for key, ends in pairs(line.ends) do redis.call('ZADD', line.turns, ends, key) end
    in_parts('ZADD', fair, line.starts)
    in_parts('HSET', parked, line.records)
  end
end
