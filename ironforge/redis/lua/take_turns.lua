#!lua flags=allow-oom
-- Says what a node shall read where jobs with fairness keys wait: strictly by priority, within it by turns. Whose turn
-- it is goes into the redelivery stream, from where it is read like everything else. Jobs without a key share one turn.
-- KEYS  index, parked, quarantine, then for each queue and priority, in order: redelivery stream, stream, fair,
--         turns
-- ARGV  left
--       how many jobs the node wants
-- USES  stem, limits, holders, admission, turns, places, lines, enqueue
-- Returns 1 when more jobs wait for their turn, else 0; in how many ms a limit lets the next one in (-1: none is known);
-- what a full limit does not let wait: pairs of ids to cancel and reasons; then pairs: number of the stream's key, how
-- many to read of it; an error NOGROUP when a stream has lost its group
local unwanted = {}
local reply = {0, -1, unwanted}
local has_limits = redis.call('EXISTS', stem .. 'limits') == 1
left = tonumber(left)
-- Keys of limits, and holders of one, that are looked at in one call: others wait meanwhile.
local AT_ONCE = 500
-- When a line of the wrong type is looked at again (µs).
local A_SECOND = 1000000

local function read(key, count)
  if count == 0 then return end
  reply[#reply + 1] = key
  reply[#reply + 1] = count
  left = left - count
end

-- From the line of its first limit to that of another one, which is its first from now on. It keeps its place by arrival, and
-- a fifo key: the next one of that would overtake it.
local function move(place, id, mark, claims, number, arrival)
  if is_fifo(claims[1]) then take_place(claims[1], id) end
  redis.call('ZREM', line_of(place, claims[1].key), id)
  redis.call('ZADD', line_of(place, claims[number].key), arrival, id)
  note_places(place, {claims[number].key})
  redis.call('HSET', index, id, 'l:' .. place .. turned(mark, claims, number))
  offer(place, {claims[1].key})
end

-- As many holders are to end as jobs wait for their places, and no more however often one of these is looked at.
local function cancel_oldest(claim)
  local waiting = 0
  for _, place in ipairs(places_of({claim.key})[1]) do
    waiting = waiting + (tonumber(redis.pcall('ZCARD', line_of(place, claim.key))) or 0)
  end
  for _, holder in ipairs(redis.call('ZRANGE', claim.holders, 0, math.min(waiting, AT_ONCE) - 1)) do
    -- Those that died, and those that are told already, are in front.
    if not string.find(redis.call('HGET', index, holder) or 'c', '^[cpd]') then
      unwanted[#unwanted + 1], unwanted[#unwanted + 2] = holder, 'preempted'
      return
    end
  end
end

-- The head of a line goes on waiting, for the limit that does not let it in; or that is full, and has it otherwise.
local function turn_away(place, id, mark, claims, number, wait, is_full, arrival)
  local claim = claims[number]
  look_later(claim, wait)
  if wrong_type({line_of(place, claim.key)}) then
    look_later(claims[1], A_SECOND)
  elseif number > 1 then
    move(place, id, mark, claims, number, arrival)
  end
  local policy = policy_of(claim.name)
  if policy == 'cancel_new' then
    unwanted[#unwanted + 1], unwanted[#unwanted + 2] = id, 'limit_full'
  elseif policy == 'cancel_oldest' and is_full then
    cancel_oldest(claim)
  end
end

-- Whether the next one of its line is to be looked at. Most keys are full now, and then it does not matter who is next.
local function may_go_on(claim)
  local limit = definition(claim.name)
  local is_plain = limit and limit.concurrency and limit.order ~= 'fifo' and policy_of(claim.name) == 'wait'
    and not limit.changes
  return not is_plain or held_of(claim) < limit.concurrency
end

-- One that waits behind a limit: whether all of its limits let it in. `location`: as the index says it.
local function let_in(place, id, location, claims, turns)
  local key = claims[1].key
  local line = line_of(place, key)
  -- Most are the head, and are let in.
  local head = redis.pcall('ZPOPMIN', line)
  if head.err then look_later(claims[1], A_SECOND) end
  local is_head, number, wait, is_full = head[1] == id, nil, nil, nil
  if is_head then number, wait, is_full = refusal_of(claims, id) end
  if number or not is_head then
    local mark = string.match(location, '^l:[^:]*:%d(:.*)$')
    if head[1] then redis.call('ZADD', line, head[2], head[1]) end
    local arrival = tonumber(redis.pcall('ZSCORE', line, id)) or 0
    if number then turn_away(place, id, mark, claims, number, wait, is_full, arrival) end
    redis.call('ZADD', stem .. 'behind:' .. place, arrival, id)
    give_back(turns, mark)
    -- One that came back is in front of it.
    if not number then offer(place, {key}) end
    return false
  end
  occupy(claims, id, true)
  if may_go_on(claims[1]) then offer(place, {key}) end
  return true
end

-- What jobs claim that wait behind limits at a place, by their number in `ids`, and where the index has them.
local function claims_at(place, ids)
  if not has_limits then return {}, {} end
  local locations, head, claims_by, all = redis.call('HMGET', index, unpack(ids)), 'l:' .. place .. ':', {}, {}
  for at = 1, #ids do
    local location = locations[at]
    if location and string.find(location, head, 1, true) == 1 then
      local claims = claims_of(location)
      claims_by[at] = claims
      for number = 1, #claims do all[#all + 1] = claims[number] end
    end
  end
  look_at_holders(all)
  return claims_by, locations
end

-- Lets up to `count` go ahead to the redelivery stream; how many had their turn, and how many of them went.
local function go_ahead(redelivery, fair, turns, count, now)
  if count == 0 then return 0, 0 end
  local taken = redis.call('ZPOPMIN', fair, count)
  if #taken == 0 then return 0, 0 end
  local name, ids, located, gone, had = string.match(redelivery, '}:q:(.*)r$'), {}, {}, {}, 0
  local entered = 'q:' .. name .. 'r:'
  for at = 1, #taken / 2 do ids[at] = taken[2 * at - 1] end
  local records = redis.call('HMGET', parked, unpack(ids))
  local claims_by, locations = claims_at(name, ids)
  for at = 1, #ids do
    local id, claims = ids[at], claims_by[at]
    -- The next one of a line may be before those that came along with its head.
    if rotations[fair] and rotations[fair].soonest < tonumber(taken[2 * at]) then break end
    had = at
    if not records[at] then
      redis.call('XADD', quarantine, '*', 'id', id, 'record', '', 'reason', 'its turn came, but its record is gone')
      redis.call('HDEL', index, id)
      gone[#gone + 1] = id
      if claims then redis.pcall('ZREM', line_of(name, claims[1].key), id) end
    elseif not claims or let_in(name, id, locations[at], claims, turns) then
      local n = #located
      located[n + 1], located[n + 2] = id, entered .. redis.call('XADD', redelivery, '*', 'j', records[at])
      gone[#gone + 1] = id
    end
  end
  now = math.max(now, tonumber(taken[2 * had]))
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
  if #ripe > 0 then
    redis.call('SADD', stem .. 'room', unpack(ripe))
    redis.call('ZREM', stem .. 'dueroom', unpack(ripe))
  end
  offer_all(redis.call('SPOP', stem .. 'room', AT_ONCE))
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
  -- Before turns are taken: who is kept out, or let in, is written there.
  local wrong = waits and has_limits and wrong_type({stem .. 'behind:' .. string.match(fair, '}:fair:(.*)$'), stem .. 'inuse'})
  if wrong then return wrong end
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
