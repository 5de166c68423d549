#!lua flags=allow-oom
-- Reads for a node where jobs with fairness keys wait: strictly by priority, within it by turns. What a turn is taken
-- of goes through the twin stream, so that it is pending like everything else. Jobs without a key share one turn.
-- KEYS  index, parked, quarantine, then for each queue and priority, in order: twin, stream, fair, turns
-- ARGV  node, how many jobs it wants
-- Returns 1 when more jobs wait for their turn, else 0; then what XREADGROUP gave
local index, parked, quarantine = unpack(KEYS, 1, 3)
local node, left = ARGV[1], tonumber(ARGV[2])
for key = 4, #KEYS, 4 do
  local wrong = misfits(key, key + 1)
  if wrong then return wrong end
end
local able = not misfits(1, 2)
local reply = {0}

local function read(stream, count)
  if count <= 0 then return end
  local command = {'XREADGROUP', 'GROUP', 'nodes', node, 'COUNT', count, 'STREAMS', stream, '>'}
  local found = redis.pcall(unpack(command))
  if found and found.err then
    redis.call('XGROUP', 'CREATE', stream, 'nodes', '0', 'MKSTREAM')
    found = redis.call(unpack(command))
  end
  if found then
    reply[#reply + 1] = found[1]
    left = left - #found[1][2]
  end
end

local function release(twin, fair, turns, count, now)
  local taken = redis.call('ZPOPMIN', fair, count)
  for at = 1, #taken, 2 do
    local id = taken[at]
    local record = redis.call('HGET', parked, id)
    now = math.max(now, tonumber(taken[at + 1]))
    if record then
      local entry = redis.call('XADD', twin, '*', 'j', record)
      redis.call('HSET', index, id, string.match(twin, '}:(q:.*)$') .. ':' .. entry)
      redis.call('HDEL', parked, id)
    else
      redis.pcall('XADD', quarantine, '*', 'id', id, 'record', '', 'reason', 'its turn came, but its record is gone')
      redis.call('HDEL', index, id)
    end
  end
  if redis.call('EXISTS', fair) == 0 then
    redis.call('DEL', turns)
  else
    redis.call('ZADD', turns, now, '')
    redis.call('ZREMRANGEBYSCORE', turns, '-inf', '(' .. string.format('%.17g', now))
  end
end

-- How many of the next jobs come from those that wait by key, how many from the stream, and the turn they lead to.
local function share(stream, fair, turns)
  local now = tonumber(redis.call('ZSCORE', turns, '') or 0)
  local behind = undelivered(stream)
  if behind == 0 then return math.min(left, redis.call('ZCARD', fair)), 0, now end
  local heads = redis.call('ZRANGE', fair, 0, left - 1, 'WITHSCORES')
  local ours, keyed, plain = tonumber(redis.call('ZSCORE', turns, '-') or 0), 0, 0
  while keyed + plain < left do
    local head = tonumber(heads[2 * keyed + 2])
    ours = math.max(ours, now)
    if plain < behind and (not head or ours <= head) then
      plain, now, ours = plain + 1, ours, ours + 1
    elseif head then
      keyed, now = keyed + 1, math.max(now, head)
    else
      break
    end
  end
  redis.call('ZADD', turns, ours, '-')
  return keyed, plain, now
end

for key = 4, #KEYS, 4 do
  local twin, stream, fair, turns = unpack(KEYS, key, key + 3)
  local waits = able and not misfits(key + 2, key + 3) and redis.call('EXISTS', fair) == 1
  if left > 0 then
    read(twin, left)
    if waits and left > 0 then
      local keyed, plain, now = share(stream, fair, turns)
      release(twin, fair, turns, keyed, now)
      read(twin, keyed)
      read(stream, plain)
      waits = redis.call('EXISTS', fair) == 1
    end
    if not waits then read(stream, left) end
  end
  if waits then
    -- One goes ahead, which wakes the next node that has nothing to do.
    if undelivered(twin) == 0 then release(twin, fair, turns, 1, tonumber(redis.call('ZSCORE', turns, '') or 0)) end
    reply[1] = redis.call('EXISTS', fair)
    if reply[1] == 1 then return reply end
  end
end
return reply
