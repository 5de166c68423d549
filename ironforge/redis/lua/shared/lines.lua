-- Lines behind keys of limits: a job with limits joins the line of the first of them, whose head stays there until it is
-- admitted; it stands among the turns while its key has room.
-- What `all_joined` writes: by place, and there by key, when jobs came; and their records. By job: what the index is to say.
local arrivals, shelved, arriving, joined = {}, {}, 0, {}
-- In µs, by how much one that comes back is before those that come for the first time: longer than any clock says.
local AHEAD = 4000000000000000

-- There are lines of these keys at a place now.
local function note_places(place, keys)
  local words = {}
  for from = 1, #keys, 1000 do
    local some = {unpack(keys, from, math.min(from + 999, #keys))}
    for at, said in ipairs(redis.call('HMGET', stem .. 'inuse', unpack(some))) do
      if not string.find(' ' .. (said or ''), ' ' .. place .. ' ', 1, true) then
        words[#words + 1], words[#words + 2] = some[at], (said or '') .. place .. ' '
      end
    end
  end
  in_parts('HSET', stem .. 'inuse', words)
end

local function is_unused(key)
  return redis.call('HGET', stem .. 'inuse', key) == '' and redis.call('EXISTS', stem .. 'holders:' .. key) == 0
end

-- A key that no job waits for or holds is no longer in use. One that was throttled is still to let one job go first.
local function forget_unused(key)
  if is_unused(key) and not redis.pcall('ZSCORE', stem .. 'probes', key) then redis.call('HDEL', stem .. 'inuse', key) end
end

-- The line of a key at a place is empty.
local function forget_place(place, key)
  local said = redis.call('HGET', stem .. 'inuse', key)
  if not said then return end
  local left = string.gsub(said, '[^ ]+ ', function(each) return each == place .. ' ' and '' or nil end)
  redis.call('HSET', stem .. 'inuse', key, left)
  if left == '' then forget_unused(key) end
end

-- Of those that wait at one place, `<queue>:<priority>`, and do not stand among the turns: their ids, whose turn it is to be
-- for each, and what it uses of the first of its limits.
local function those_behind(place, ids)
  local locations = redis.call('HMGET', stem .. 'index', unpack(ids))
  local waiting, turns, claims, count = {}, {}, {}, 0
  for at, score in ipairs(redis.call('ZMSCORE', stem .. 'behind:' .. place, unpack(ids))) do
    local location = score and (joined[ids[at]] or locations[at]) or ''
    local found, turn, key, name, units = string.match(location, '^l:([^:]*:%d)(:[^\n]*)\n[^\n]*\n(([^\n]*)\n[^\n]*)\n(%d+)')
    if found == place then
      count = count + 1
      waiting[count], turns[count], claims[count] = ids[at], turn, claim_on(name, key, units)
    end
  end
  return waiting, turns, claims
end

-- Lets heads of lines at one place stand among the turns, where their key has room or does not let them wait. Returns how many
-- came there now and have room. They leave `behind` as they come there, by `enqueued`: only then all that this needs is known
-- to be of its type.
local function stand_up(place, ids)
  local waiting, turns, claims = those_behind(place, ids)
  if #waiting == 0 then return 0 end
  look_at_holders(claims)
  local rotation, came = rotation_at(stem .. 'fair:' .. place, stem .. 'turns:' .. place), 0
  rotation.behind = stem .. 'behind:' .. place
  for at, claim in ipairs(claims) do
    local id, wait = waiting[at], closed(claim, waiting[at])
    if wait and policy_of(claim.name) == 'wait' then
      look_later(claim, wait)
    elseif not rotation.standing[id] then
      stand(rotation, id, turns[at])
      rotation.came[#rotation.came + 1], rotation.standing[id], freed = id, true, true
      if not wait then came = came + 1 end
    end
  end
  return came
end

-- Does so with the heads of the lines of these keys at a place, each once.
local function offer(place, keys)
  local heads, count, came = {}, 0, 0
  for at = 1, #keys do
    local head = redis.pcall('ZRANGE', line_of(place, keys[at]), 0, 0)
    if head[1] then
      count = count + 1
      heads[count] = head[1]
    elseif not head.err then
      forget_place(place, keys[at])
    end
  end
  for from = 1, count, 1000 do came = came + stand_up(place, {unpack(heads, from, math.min(from + 999, count))}) end
  return came
end

-- Does so with the heads of all lines of these keys. A key that no job waits for, or holds, is forgotten.
local function offer_all(keys)
  local by_place, came = {}, 0
  for at, places in ipairs(places_of(keys)) do
    for n = 1, #places do
      local here = by_place[places[n]] or {}
      by_place[places[n]] = here
      here[#here + 1] = keys[at]
    end
    if #places == 0 then forget_unused(keys[at]) end
  end
  for place, here in pairs(by_place) do came = came + offer(place, here) end
  return came
end

-- When the last one came that waits there, where the order matters: a clock that was put back must not change it.
local function last_of(claim, line)
  if not is_fifo(claim) then return 0 end
  local last = redis.pcall('ZRANGE', line, 0, 0, 'REV', 'WITHSCORES')
  return (tonumber(last[2]) or 0) + 1
end

local function join(stream, id, record, mark)
  local claims, since = claims_of(mark)
  local first = front_of(claims)
  if first > 1 then mark = turned(mark, claims, first) end
  local place, key = string.match(stream, '}:q:(.*)$'), claims[first].key
  local all = arrivals[place] or {words = {}, lines = {}}
  arrivals[place] = all
  local line = all.lines[key]
  if not line then
    line = {words = {}, after = last_of(claims[first], line_of(place, key))}
    all.lines[key] = line
  end
  local came = math.max(micros(), line.after) + arriving
  if since ~= '' then
    -- Before all that come for the first time, by whatever clock: this one is that of a client. And before these, one that has
    -- kept its place: as others are revived, they would come before it, and wait for it.
    came = (redis.pcall('ZSCORE', claims[first].holders, id) and 0 or tonumber(since) * 1000) - AHEAD
  end
  came = string.format('%.0f', came)
  local n, m, r = #line.words, #all.words, #shelved
  line.words[n + 1], line.words[n + 2] = came, id
  all.words[m + 1], all.words[m + 2] = came, id
  shelved[r + 1], shelved[r + 2] = id, record
  arriving = arriving + 1
  joined[id] = 'l:' .. place .. mark
  return joined[id]
end

local function all_joined(parked)
  in_parts('HSET', parked, shelved)
  for place, all in pairs(arrivals) do
    local keys = {}
    for key, line in pairs(all.lines) do
      in_parts('ZADD', line_of(place, key), line.words)
      keys[#keys + 1] = key
    end
    in_parts('ZADD', stem .. 'behind:' .. place, all.words)
    note_places(place, keys)
    offer(place, keys)
  end
  arrivals, shelved = {}, {}
end

-- Gives the turn of one that stood back, or its key would wait for jobs that never ran.
local function give_back(turns, mark)
  local weight, key = string.match(mark, '^:(%d+):([^\n]+)')
  if weight and redis.call('ZSCORE', turns, key) then redis.call('ZINCRBY', turns, -1 / tonumber(weight), key) end
end
