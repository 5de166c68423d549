-- Lines behind keys of limits: a job with limits joins the line of the first of them, whose head stays there until it is
-- admitted; it stands among the turns while its key has room.
-- What `all_joined` writes: by line and by place when jobs came, and their records. By job: what the index is to say.
local arrivals, arrived, shelved, arriving = {}, {}, {}, 0
local joined = {}
-- In µs, by how much one that comes back is before those that come for the first time: longer than any clock says.
local AHEAD = 4000000000000000

-- There are lines now at these places. `asked`: pairs of place and key.
local function note_places(asked)
  local said, words, keys = {}, {}, {}
  for at = 2, #asked, 2 do keys[#keys + 1] = asked[at] end
  for from = 1, #keys, 1000 do
    local some = {unpack(keys, from, math.min(from + 999, #keys))}
    for at, found in ipairs(redis.call('HMGET', stem .. 'inuse', unpack(some))) do said[some[at]] = found or '' end
  end
  for at = 1, #asked, 2 do
    local place, key = asked[at], asked[at + 1]
    if not string.find(' ' .. said[key], ' ' .. place .. ' ', 1, true) then
      said[key] = said[key] .. place .. ' '
      words[#words + 1], words[#words + 2] = key, said[key]
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

-- Does so with the heads of these lines, each once. `asked`: pairs of place and key.
local function offer(asked)
  local heads, came = {}, 0
  for at = 1, #asked, 2 do
    local place, key = asked[at], asked[at + 1]
    local head = redis.pcall('ZRANGE', line_of(place, key), 0, 0)
    if head[1] then
      local ids = heads[place] or {}
      heads[place] = ids
      ids[#ids + 1] = head[1]
      if #ids == 1000 then
        came, heads[place] = came + stand_up(place, ids), nil
      end
    elseif not head.err then
      forget_place(place, key)
    end
  end
  for place, ids in pairs(heads) do came = came + stand_up(place, ids) end
  return came
end

-- Does so with the heads of all lines of these keys. A key that no job waits for, or holds, is forgotten.
local function offer_all(keys)
  local asked = {}
  for at, places in ipairs(places_of(keys)) do
    for _, place in ipairs(places) do asked[#asked + 1], asked[#asked + 2] = place, keys[at] end
    if #places == 0 then forget_unused(keys[at]) end
  end
  return offer(asked)
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
  local name = place .. ':' .. key
  local line = arrivals[name]
  if not line then
    line = {place = place, key = key, words = {}, after = last_of(claims[first], line_of(place, key))}
    arrivals[name] = line
  end
  local all = arrived[place] or {}
  arrived[place] = all
  local came = math.max(micros(), line.after) + arriving
  if since ~= '' then
    -- Before all that come for the first time, by whatever clock: this one is that of a client. And before these, one that has
    -- kept its place: as others are revived, they would come before it, and wait for it.
    came = (redis.pcall('ZSCORE', claims[first].holders, id) and 0 or tonumber(since) * 1000) - AHEAD
  end
  came = string.format('%.0f', came)
  local n, m, r = #line.words, #all, #shelved
  line.words[n + 1], line.words[n + 2] = came, id
  all[m + 1], all[m + 2] = came, id
  shelved[r + 1], shelved[r + 2] = id, record
  arriving = arriving + 1
  joined[id] = 'l:' .. place .. mark
  return joined[id]
end

local function all_joined(parked)
  local asked = {}
  for _, line in pairs(arrivals) do
    in_parts('ZADD', line_of(line.place, line.key), line.words)
    asked[#asked + 1], asked[#asked + 2] = line.place, line.key
  end
  for place, words in pairs(arrived) do in_parts('ZADD', stem .. 'behind:' .. place, words) end
  in_parts('HSET', parked, shelved)
  note_places(asked)
  offer(asked)
  arrivals, arrived, shelved = {}, {}, {}
end

-- Gives the turn of one that stood back, or its key would wait for jobs that never ran.
local function give_back(turns, mark)
  local weight, key = string.match(mark, '^:(%d+):([^\n]+)')
  if weight and redis.call('ZSCORE', turns, key) then redis.call('ZINCRBY', turns, -1 / tonumber(weight), key) end
end
