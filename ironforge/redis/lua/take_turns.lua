#!lua flags=allow-oom
-- Says what a node shall read where jobs with fairness keys wait: strictly by priority, within it by turns. Whose turn
-- it is goes into the redelivery stream, from where it is read like everything else. Jobs without a key share one turn.
-- KEYS  index, parked, quarantine, then for each queue and priority, in order: redelivery stream, stream, fair,
--         turns
-- ARGV  left
--       how many jobs the node wants
-- USES  enqueue
-- Returns 1 when more jobs wait for their turn, else 0; then pairs: number of the stream's key, how many to read of it;
-- an error NOGROUP when a stream has lost its group
local reply = {0}
left = tonumber(left)

local function read(key, count)
  if count == 0 then return end
  reply[#reply + 1] = key
  reply[#reply + 1] = count
  left = left - count
end

local function release(redelivery, fair, turns, count, now)
  if count == 0 then return end
  local taken = redis.call('ZPOPMIN', fair, count)
  local place, ids, located = string.match(redelivery, '}:(q:.*)$') .. ':', {}, {}
  for at = 1, #taken, 2 do ids[#ids + 1] = taken[at] end
  local records = redis.call('HMGET', parked, unpack(ids))
  for at, id in ipairs(ids) do
    if records[at] then
      located[#located + 1] = id
      located[#located + 1] = place .. redis.call('XADD', redelivery, '*', 'j', records[at])
    else
      redis.call('XADD', quarantine, '*', 'id', id, 'record', '', 'reason', 'its turn came, but its record is gone')
      redis.call('HDEL', index, id)
    end
  end
  if #located > 0 then redis.call('HSET', index, unpack(located)) end
  redis.call('HDEL', parked, unpack(ids))
  if redis.call('EXISTS', fair) == 0 then
    redis.call('DEL', turns)
  else
    now = math.max(now, tonumber(taken[#taken]))
    redis.call('ZADD', turns, now, '')
    redis.call('ZREMRANGEBYSCORE', turns, '-inf', '(' .. string.format('%.17g', now))
  end
  return #located / 2
end

-- Of the next jobs: how many by key, how many from the stream that has `behind`, and the turn that they lead to.
local function share(fair, turns, behind)
  local now = tonumber(redis.call('ZSCORE', turns, '') or 0)
  if behind == 0 then return math.min(left, redis.call('ZCARD', fair)), 0, now end
  local heads = redis.call('ZRANGE', fair, 0, left - 1, 'WITHSCORES')
  local ours, keyed, plain = tonumber(redis.call('ZSCORE', turns, '-') or 0), 0, 0
  while keyed + plain < left do
    local head = tonumber(heads[2 * keyed + 2])
    ours = math.max(ours, now)
    if not head then break end
    if plain < behind and ours <= head then
      plain, now, ours = plain + 1, ours, ours + 1
    else
      keyed, now = keyed + 1, math.max(now, head)
    end
  end
  redis.call('ZADD', turns, ours, '-')
  return keyed, plain, now
end

for key = 4, #KEYS, 4 do
  local redelivery, stream, fair, turns = unpack(KEYS, key, key + 3)
  local ahead, lost = undelivered(redelivery)
  local behind, gone = undelivered(stream)
  local waits = redis.call('EXISTS', fair) == 1
  if lost or gone or waits and redis.call('EXISTS', redelivery) == 0 then
    return redis.error_reply('NOGROUP of ' .. stream .. ' or its redelivery stream')
  end
  local taken = math.min(ahead, left)
  read(key, taken)
  if waits and left > 0 then
    local keyed, plain, now = share(fair, turns, behind)
    keyed = release(redelivery, fair, turns, keyed, now) or 0
    if keyed > 0 then read(key, keyed) end
    read(key + 1, plain)
    behind = behind - plain
    waits = redis.call('EXISTS', fair) == 1
  end
  if waits then
    -- One goes ahead, which wakes the next node that has nothing to do.
    if ahead <= taken then release(redelivery, fair, turns, 1, tonumber(redis.call('ZSCORE', turns, '') or 0)) end
    reply[1] = redis.call('EXISTS', fair)
    if reply[1] == 1 then return reply end
  end
  read(key + 1, math.min(behind, left))
end
return reply
