-- Shared by scripts that put queues to use, or jobs into them. A job with a fairness key goes to its stream only while nothing waits;
-- else it waits for its turn: max(turn of what was taken last, end of the last turn of its key).
-- By place, as its `fair`: how turns go on there, and what `enqueued` writes of that.
local rotations = {}

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
    local used = redis.pcall('SISMEMBER', queues, name)
    if used ~= 0 and used ~= 1 then return wrong_type({queues}) end
    if used == 0 then fresh[#fresh + 1] = name end
  end
  if #fresh == 0 then return end
  local used = redis.call('SCARD', queues)
  if used + #fresh > most then return {'queues', used, #fresh, most} end
  in_parts('SADD', queues, fresh)
end

local function rotation_at(fair, turns)
  if not rotations[fair] then
    local rotation = {turns = turns, shares = {}, ends = {}, starts = {}, records = {}, came = {}, standing = {}, soonest = math.huge}
    rotation.waits = redis.call('ZCARD', fair) > 0
    rotation.now = tonumber(redis.call('ZSCORE', turns, '') or 0)
    rotations[fair] = rotation
  end
  return rotations[fair]
end

-- Whose turn it is, and how long one of these turns is. `turn`: `:<weight>:<fairness key>`.
local function share_of(rotation, turn)
  local share = rotation.shares[turn]
  if share then return share end
  local weight, key = string.match(turn, '^:(%d+):(.*)$')
  share = {key = key, length = 1 / tonumber(weight)}
  rotation.shares[turn] = share
  rotation.ends[key] = rotation.ends[key] or tonumber(redis.call('ZSCORE', rotation.turns, key) or 0)
  return share
end

-- Among the turns, with the next one of its key; written by `enqueued`.
local function stand(rotation, id, turn)
  rotation.waits = true
  local share = share_of(rotation, turn)
  local start = rotation.ends[share.key]
  if start < rotation.now then start = rotation.now end
  rotation.ends[share.key] = start + share.length
  if start < rotation.soonest then rotation.soonest = start end
  local n = #rotation.starts
  rotation.starts[n + 1], rotation.starts[n + 2] = start, id
end
