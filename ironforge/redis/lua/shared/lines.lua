-- Lines behind keys of limits: a job with limits joins the line of the first of them.
local joined, arrivals, arriving = {}, {}, 0

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
    look_later(key, wait)
    return
  end
  redis.call('ZREM', behind, head[1])
  stand(turns_at(stem .. 'fair:' .. place, stem .. 'turns:' .. place), head[1], mark)
  freed = true
  return not wait
end

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

local function all_joined(parked)
  for name, line in pairs(arrivals) do
    in_parts('ZADD', stem .. 'line:' .. name, line.words)
    in_parts('ZADD', stem .. 'behind:' .. line.place, line.words)
    in_parts('HSET', parked, line.records)
    redis.call('SADD', stem .. 'places:' .. line.claim.key, line.place)
    redis.call('SADD', stem .. 'inuse', line.claim.key)
    offer(line.place, line.claim.key)
  end
  arrivals = {}
end

-- Gives the turn of one that stood back, or its key would wait for jobs that never ran.
local function give_back(turns, mark)
  local weight, key = string.match(mark, '^:(%d+):([^\n]+)')
  if weight and redis.call('ZSCORE', turns, key) then redis.call('ZINCRBY', turns, -1 / tonumber(weight), key) end
end
