-- Who has places of keys of limits, and which keys are stopped. A job holds all of its limits or none.
local freed, has_throttled = false, nil
-- By key: how many hold it, once that was looked at.
local held_by = {}

-- How many hold what is claimed; nil: it is of the wrong type, which is mended by somebody, some time.
local function held_of(claim)
  local known = held_by[claim.key]
  if known then return known end
  local held = redis.pcall('ZCARD', claim.holders)
  if type(held) == 'number' then held_by[claim.key] = held end
  return held_by[claim.key]
end

-- Mostly no job holds any of these keys, as one look tells.
local function look_at_holders(claims)
  local names = {}
  for at = 1, #claims do names[at] = claims[at].holders end
  if #names < 2 or redis.call('EXISTS', unpack(names)) > 0 then return end
  for at = 1, #claims do held_by[claims[at].key] = 0 end
end

local function take_place(claim, id)
  local added, known = redis.call('ZADD', claim.holders, millis(), id), held_by[claim.key]
  if known then held_by[claim.key] = known + added end
end

-- Gives back all that a job holds; with `refund` what it used of rates as well, unless it has run before: it has not started.
-- But what time has worked off of that, others may have used already: twice it would let in more than the rate allows.
-- `keeping`: it has its fifo key all the same, in which the next one would overtake it. A job that leaves its stream is not
-- lost over holders that are none.
local function release(id, mark, refund, keeping)
  local claims, since = claims_of(mark)
  local is_fresh = refund and since == ''
  for _, claim in ipairs(claims) do
    local tat = stem .. 'tat:' .. claim.key
    local held_ms = refund and tonumber(redis.pcall('ZSCORE', claim.holders, id))
    local stays = keeping and is_fifo(claim)
    if stays and held_ms or not stays and redis.pcall('ZREM', claim.holders, id) == 1 then
      held_by[claim.key] = nil
      redis.call('SADD', stem .. 'room', claim.key)
      -- A probe that did not run was none: the next one is.
      if held_ms and held_ms == tonumber(redis.pcall('ZSCORE', stem .. 'probes', claim.key)) then
        redis.call('ZADD', stem .. 'probes', 0, claim.key)
      end
      local limit = is_fresh and definition(claim.name)
      local used = limit and limit.rate and redis.pcall('GET', tat)
      if type(used) == 'string' then
        local charged = tonumber(claim.units) * each_of(limit.rate)
        local back = math.max(0, math.min(charged, charged - micros() + held_ms * 1000))
        redis.call('SET', tat, string.format('%.0f', used - back), 'KEEPTTL')
      end
      freed = true
    end
  end
end

-- It is dead, and where others wait for its revival they do so from now on.
local function release_dead(id, mark, died)
  local keeping = keeps(mark, true)
  release(id, mark, false, keeping)
  for _, claim in ipairs(keeping and claims_of(mark) or {}) do
    if is_fifo(claim) then redis.pcall('ZADD', claim.holders, 'XX', -died, id) end
  end
end

-- It is dead no longer: what it held all the while it holds as one that waits for its retry does.
local function revive(id, mark)
  for _, claim in ipairs(claims_of(mark)) do
    if is_fifo(claim) then redis.pcall('ZADD', claim.holders, 'XX', millis(), id) end
  end
end

-- Its target said that it is too much: it stops, and then one job goes first, the probe, until whose end no other one starts.
local function throttle(key, till)
  redis.call('ZADD', stem .. 'stops', 'GT', till, key)
  redis.call('ZADD', stem .. 'probes', 0, key)
  redis.call('ZADD', stem .. 'dueroom', till, key)
  has_throttled = true
end

-- Nodes that have nothing to do look again.
local function tell_of_room()
  if freed then redis.call('PUBLISH', stem .. 'signals', 'room:') end
  freed = false
end
