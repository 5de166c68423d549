#!lua flags=allow-oom
-- Says what a node shall read where jobs with fairness keys wait: strictly by priority, within it by turns. Whose turn
-- it is goes into the redelivery stream, from where it is read like everything else. Jobs without a key share one turn.
-- KEYS  index, parked, quarantine, then for each queue and priority, in order: redelivery stream, stream, fair,
--         turns
-- ARGV  left
--       how many jobs the node wants
-- USES  stem, limits, turns, lines, enqueue
-- Returns 1 when more jobs wait for their turn, else 0; in how many ms a limit lets the next one in (-1: none is known);
-- what a full limit does not let wait: pairs of ids to cancel and reasons; then pairs: number of the stream's key, how
-- many to read of it; an error NOGROUP when a stream has lost its group
local unwanted = {}
local reply = {0, -1, unwanted}
local has_limits = redis.call('EXISTS', stem .. 'limits') == 1
left = tonumber(left)
-- Keys of limits, and holders of one, that are looked at in one call: others wait meanwhile.
local AT_ONCE = 200

local function read(key, count)
  if count == 0 then return end
  reply[#reply + 1] = key
  reply[#reply + 1] = count
  left = left - count
end

-- From the line of its first limit to that of another one, which is its first from now on. It keeps its place by arrival.
local function move(place, id, mark, claims, number, arrival)
  local turn, since = string.match(mark, '^([^\n]*)\n([^\n]*)')
  local words = {turn, since}
  for step = 0, #claims - 1 do
    local claim = claims[(number - 1 + step) % #claims + 1]
    words[#words + 1] = claim.key
    words[#words + 1] = claim.units
  end
  redis.call('ZREM', stem .. 'line:' .. place .. ':' .. claims[1].key, id)
  redis.call('ZADD', stem .. 'line:' .. place .. ':' .. claims[number].key, arrival, id)
  redis.call('SADD', stem .. 'places:' .. claims[number].key, place)
  redis.call('SADD', stem .. 'inuse', claims[number].key)
  redis.call('HSET', index, id, 'l:' .. place .. table.concat(words, '\n'))
  offer(place, claims[1].key)
end

-- As many holders are to end as jobs wait for their places, and no more however often one of these is looked at.
local function cancel_oldest(claim)
  local waiting = 0
  for _, place in ipairs(redis.call('SMEMBERS', stem .. 'places:' .. claim.key)) do
    waiting = waiting + redis.call('ZCARD', stem .. 'line:' .. place .. ':' .. claim.key)
  end
  for _, holder in ipairs(redis.call('ZRANGE', stem .. 'holders:' .. claim.key, 0, math.min(waiting, AT_ONCE) - 1)) do
    -- Those that died, and those that are told already, are in front.
    if not string.find(redis.call('HGET', index, holder) or 'c', '^[cd]') then
      unwanted[#unwanted + 1], unwanted[#unwanted + 2] = holder, ''
      return
    end
  end
end

-- One that waits behind a limit: whether all of its limits let it in. If not, it goes on waiting for the one that does not.
local function let_in(place, id, mark, turns)
  local claims = claims_of(mark)
  local key, behind = claims[1].key, stem .. 'behind:' .. place
  local line = stem .. 'line:' .. place .. ':' .. key
  local function refused(arrival)
    redis.call('ZADD', behind, arrival or 0, id)
    give_back(turns, mark)
    return false
  end
  local head = redis.call('ZRANGE', line, 0, 0, 'WITHSCORES')
  if head[1] ~= id then  -- one that came back is in front of it
    refused(redis.call('ZSCORE', line, id))
    offer(place, key)
    return false
  end
  for number, claim in ipairs(claims) do
    local wait, is_full = closed(claim, id)
    if wait then
      look_later(claim, wait)
      if number > 1 then move(place, id, mark, claims, number, head[2]) end
      local policy = definition(claim.name).when_full
      if policy == 'cancel_new' then
        unwanted[#unwanted + 1], unwanted[#unwanted + 2] = id, 'limit_full'
      elseif policy == 'cancel_oldest' and is_full then
        cancel_oldest(claim)
      end
      return refused(head[2])
    end
  end
  occupy(claims, id, true)
  redis.call('ZREM', line, id)
  -- Most keys are full now, and then it does not matter who is next.
  local limit = definition(claims[1].name)
  local is_plain = limit and limit.concurrency and limit.order ~= 'fifo' and (limit.when_full or 'wait') == 'wait'
    and not limit.changes
  if not is_plain or redis.call('ZCARD', stem .. 'holders:' .. key) < limit.concurrency then offer(place, key) end
  return true
end

-- Lets up to `count` go ahead to the redelivery stream; how many had their turn, and how many of them went.
local function go_ahead(redelivery, fair, turns, count, now)
  if count == 0 then return 0, 0 end
  local taken = redis.call('ZPOPMIN', fair, count)
  if #taken == 0 then return 0, 0 end
  local name, ids, located, gone = string.match(redelivery, '}:q:(.*)r$'), {}, {}, {}
  for at = 1, #taken, 2 do ids[#ids + 1] = taken[at] end
  local records = redis.call('HMGET', parked, unpack(ids))
  local places = has_limits and redis.call('HMGET', index, unpack(ids)) or {}
  local had = 0
  for at, id in ipairs(ids) do
    -- The next one of a line may be before those that came along with its head.
    if lines[fair] and lines[fair].soonest < tonumber(taken[2 * at]) then break end
    had, now = at, math.max(now, tonumber(taken[2 * at]))
    local mark = string.match(places[at] or '', '^l:[^:]*:%d(:.*)$')
    if not records[at] then
      redis.call('XADD', quarantine, '*', 'id', id, 'record', '', 'reason', 'its turn came, but its record is gone')
      redis.call('HDEL', index, id)
      gone[#gone + 1] = id
      if mark then redis.call('ZREM', stem .. 'line:' .. name .. ':' .. claims_of(mark)[1].key, id) end
    elseif not mark or let_in(name, id, mark, turns) then
      located[#located + 1] = id
      located[#located + 1] = 'q:' .. name .. 'r:' .. redis.call('XADD', redelivery, '*', 'j', records[at])
      gone[#gone + 1] = id
    end
  end
  for at = had + 1, #ids do redis.call('ZADD', fair, taken[2 * at], ids[at]) end
  if #located > 0 then redis.call('HSET', index, unpack(located)) end
  if #gone > 0 then redis.call('HDEL', parked, unpack(gone)) end
  enqueued(parked)
  if redis.call('EXISTS', fair) == 0 then
    redis.call('DEL', turns)
  else
    redis.call('ZADD', turns, now, '')
    redis.call('ZREMRANGEBYSCORE', turns, '-inf', '(' .. string.format('%.17g', now))
  end
  return had, #located / 2
end

-- Of the next jobs: how many by key, how many from the stream that has `behind`, and the turn that they lead to.
local function share(fair, turns, behind)
  local now = tonumber(redis.call('ZSCORE', turns, '') or 0)
  if behind <= 0 then return math.min(left, redis.call('ZCARD', fair)), 0, now end
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

-- Where room is said to be, heads of lines come among the turns.
if has_limits then
  local ripe = redis.call('ZRANGE', stem .. 'dueroom', '-inf', micros() / 1000, 'BYSCORE', 'LIMIT', 0, AT_ONCE)
  if #ripe > 0 then redis.call('ZREM', stem .. 'dueroom', unpack(ripe)) end
  for _, key in ipairs(redis.call('SPOP', stem .. 'room', AT_ONCE)) do ripe[#ripe + 1] = key end
  for _, key in ipairs(ripe) do
    for _, place in ipairs(redis.call('SMEMBERS', stem .. 'places:' .. key)) do offer(place, key) end
    forget_unused(key)
  end
  enqueued(parked)
  reply[1] = redis.call('EXISTS', stem .. 'room')
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
    local ahead_now, plainly, tries, looked_at = 0, 0, 4 * left, 0
    repeat
      local keyed, plain, now = share(fair, turns, behind - plainly)
      local had, went = go_ahead(redelivery, fair, turns, keyed, now)
      ahead_now, plainly, looked_at = ahead_now + went, plainly + plain, looked_at + had
      left = left - went - plain
      -- Those that a limit has kept out leave their turn to others.
      waits = redis.call('EXISTS', fair) == 1
    until left == 0 or had == 0 or looked_at > tries or not waits
    left = left + ahead_now + plainly
    read(key, ahead_now)
    read(key + 1, plainly)
    behind = behind - plainly
  end
  if waits then
    -- One goes ahead, which wakes the next node that has nothing to do.
    if ahead <= taken then go_ahead(redelivery, fair, turns, 1, tonumber(redis.call('ZSCORE', turns, '') or 0)) end
    if redis.call('EXISTS', fair) == 1 then
      reply[1] = 1
      return reply
    end
  end
  read(key + 1, math.min(behind, left))
end
local following = has_limits and redis.call('ZRANGE', stem .. 'dueroom', 0, 0, 'WITHSCORES')[2]
if following then reply[2] = math.max(1, math.ceil(following - micros() / 1000)) end
return reply
