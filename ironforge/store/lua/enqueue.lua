-- Shared by scripts that put jobs into queues. A job with a fairness key goes to its stream only while nothing waits;
-- else it waits for its turn: max(turn of what was taken last, end of the last turn of its key).
local lines = {}

local function undelivered(stream)
  local length = redis.call('XLEN', stream)
  if length == 0 then return 0 end
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    if group[2] == 'nodes' then return math.max(0, length - group[6]) end
  end
  return length
end

-- mark: '' or ':<weight>:<fairness key>'. Returns where the job is now, for the index.
local function enqueue(stream, fair, turns, parked, id, record, mark)
  local line = mark ~= '' and lines[fair]
  if mark ~= '' and not line then
    line = {waits = redis.call('ZCARD', fair) > 0, now = tonumber(redis.call('ZSCORE', turns, '') or 0), ends = {}}
    lines[fair] = line
  end
  if not line or not line.waits and undelivered(stream) == 0 then
    return string.match(stream, '}:(q:.*)$') .. ':' .. redis.call('XADD', stream, '*', 'j', record)
  end
  line.waits = true
  local weight, key = string.match(mark, '^:(%d+):(.+)$')
  local start = math.max(line.now, line.ends[key] or tonumber(redis.call('ZSCORE', turns, key) or 0))
  line.ends[key] = start + 1 / tonumber(weight)
  redis.call('ZADD', turns, line.ends[key], key)
  redis.call('ZADD', fair, start, id)
  redis.call('HSET', parked, id, record)
  return 'f' .. string.match(stream, '}:q(:.*)$') .. mark
end
