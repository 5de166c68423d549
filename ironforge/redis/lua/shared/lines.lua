-- Lines behind keys of limits: a job with limits joins the line of the first of them.
local joined, arrivals, arriving = {}, {}, 0
-- In µs, by how much one that comes back is before those that come for the first time: longer than any clock says.
local AHEAD = 4000000000000000

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
    look_later(claim, wait)
    return
  end
  redis.call('ZREM', behind, head[1])
  stand(turns_at(stem .. 'fair:' .. place, stem .. 'turns:' .. place), head[1], mark)
  freed = true
  return not wait
end

-- When the last one came that waits there, where the order matters: a clock that was put back must not change it.
local function last_of(limit, line)
  local found = definition(limit)
  if not found or found.order ~= 'fifo' then return 0 end
  local last = redis.pcall('ZRANGE', stem .. 'line:' .. line, 0, 0, 'REV', 'WITHSCORES')
  return (tonumber(last[2]) or 0) + 1
end

local function join(stream, id, record, mark)
  local claims, since = claims_of(mark)
  local place, key = string.match(stream, '}:q:(.*)$'), claims[1].key
  local name = place .. ':' .. key
  local line = arrivals[name]
  if not line then
    line = {place = place, claim = claims[1], words = {}, records = {}, after = last_of(claims[1].name, name)}
    arrivals[name] = line
  end
  local n = #line.words
  local came = math.max(micros(), line.after) + arriving
  if since ~= '' then
    -- Before all that come for the first time, by whatever clock: this one is that of a client. And before these, one that has
    -- kept its place: as others are revived, they would come before it, and wait for it.
    came = (redis.pcall('ZSCORE', stem .. 'holders:' .. key, id) and 0 or tonumber(since) * 1000) - AHEAD
  end
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
