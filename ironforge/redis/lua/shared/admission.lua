-- Whether limits let a job in now: with all of its limits or not at all.
-- Whether its probe runs. One that a fifo key waits for, as it failed, is not kept waiting by itself.
local function is_probed(claim, id)
  local since = tonumber(redis.pcall('ZSCORE', stem .. 'probes', claim.key))
  if not since then return false end
  if since > 0 and not redis.call('ZSCORE', claim.holders, id) then
    if redis.call('ZRANGE', claim.holders, since, '+inf', 'BYSCORE', 'LIMIT', 0, 1)[1] then return true end
    redis.call('ZREM', stem .. 'probes', claim.key)
    return false
  end
  claim.is_probe = true
  return false
end

-- As `closed` says, of a key that may be stopped.
local function stopped(claim, id)
  if has_throttled == nil then has_throttled = redis.call('EXISTS', stem .. 'stops', stem .. 'probes') > 0 end
  if not has_throttled then return end
  local stop = tonumber(redis.pcall('ZSCORE', stem .. 'stops', claim.key))
  if stop and stop * 1000 > micros() then return stop * 1000 - micros() end
  if is_probed(claim, id) then return 0 end
end

-- As `closed` says, of a rate.
local function used_up(claim, rate)
  local now, each = micros(), each_of(rate)
  local burst = each * burst_of(rate)
  local stored = redis.pcall('GET', stem .. 'tat:' .. claim.key)
  if type(stored) == 'table' then return 1000000 end
  -- No further ahead than the burst allows: a clock that was put back must not stop the key until it is there again.
  local used = math.max(now, math.min(tonumber(stored or 0) or 0, furthest(rate)))
  claim.used = used + tonumber(claim.units) * each
  -- One that is larger than a burst that was lowered since starts when nothing is used: it would never.
  if claim.used - burst > now and used > now then
    -- Written down, or it would be as far ahead at the next look, and at all until the clock is there again.
    if tonumber(stored) > used then
      redis.call('SET', stem .. 'tat:' .. claim.key, string.format('%.0f', used), 'KEEPTTL')
    end
    -- Rather some at once than a look for each: half of a burst is never lost by that.
    return math.max(claim.used - burst - now, math.min(burst / 2, 20000))
  end
end

-- nil: this job may use what it claims of the key. Else in how many µs to look again, 0: when a job ends; then whether it is
-- since all places are taken.
local function closed(claim, id)
  local limit, held = definition(claim.name), held_of(claim)
  if not held then return 1000000 end
  if not limit then return end
  local wait = has_throttled ~= false and stopped(claim, id)
  if wait then return wait end
  if limit.concurrency and held >= limit.concurrency
    and not redis.call('ZSCORE', claim.holders, id) then
    return 0, true
  end
  if limit.rate then return used_up(claim, limit.rate) end
end

-- The number of the first of these limits that does not let the job in, and what `closed` says; nothing: all do.
local function refusal_of(claims, id)
  for number = 1, #claims do
    local wait, is_full = closed(claims[number], id)
    if wait then return number, wait, is_full end
  end
end

-- In how many µs to look again, as `closed` says: at 0 it is when a job ends, or what an operator says, of which no other event
-- tells. Never later than another job of the key is to be looked at.
local function look_later(claim, wait)
  local limit = definition(claim.name)
  local changes = limit and limit.changes
  if changes and (wait == 0 or micros() + wait > changes) then wait = changes - micros() end
  if wait > 0 then redis.call('ZADD', stem .. 'dueroom', 'LT', math.ceil((micros() + wait) / 1000), claim.key) end
end

-- After `refusal_of` has said nothing. `from_line`: it waited behind the first of them, whose key is known to be in use.
local function occupy(claims, id, from_line)
  for number = 1, #claims do
    local claim = claims[number]
    take_place(claim, id)
    if claim.is_probe then redis.call('ZADD', stem .. 'probes', millis(), claim.key) end
    if number > 1 or not from_line then redis.call('HSETNX', stem .. 'inuse', claim.key, '') end
    if claim.used then
      local left = math.ceil((claim.used - micros()) / 1000) + 1000
      redis.call('SET', stem .. 'tat:' .. claim.key, string.format('%.0f', claim.used), 'PX', left)
    end
  end
end
