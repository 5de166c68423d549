-- Limits. What a job uses of them stands in its mark behind the turn: `\n<since ms>`, and for each limit
-- `\n<name>\n<key>\n<units>`. It waits in the line of the first of them, and holds all of them or none. The head of a line
-- stays there until it is admitted; it stands among the turns while its key has room.
local instant, definitions, freed, has_throttled = nil, {}, false, nil
-- By key: how many hold it, once that was looked at.
local held_by = {}

-- Unix time in microseconds.
local function micros()
  if not instant then
    local time = redis.call('TIME')
    instant = time[1] * 1000000 + time[2]
  end
  return instant
end

-- What holds for a limit now; false: there is none of this name, and it limits nothing.
local function definition(name)
  if definitions[name] == nil then
    local text = redis.pcall('HGET', stem .. 'limits', name)
    local known, found = pcall(cjson.decode, type(text) == 'string' and text or '')
    local limit = known and type(found) == 'table' and type(found.limit) == 'table' and found.limit or false
    local override = limit and found.override
    if override and ((override.until_ms or 0) == 0 or override.until_ms * 1000 > micros()) then
      limit.concurrency, limit.rate = override.concurrency or limit.concurrency, override.rate or limit.rate
      limit.changes = (override.until_ms or 0) > 0 and override.until_ms * 1000
    end
    definitions[name] = limit
  end
  return definitions[name]
end

-- In µs, for how long a unit uses a rate.
local function each_of(rate) return (rate.per_seconds or 1) * 1000000 / rate.units end

-- The units that a rate lets through at once.
local function burst_of(rate)
  if (rate.burst or 0) > 0 then return rate.burst end
  return math.max(1, math.floor(rate.units / (rate.per_seconds or 1) / 10))
end

-- What a mark says that a job uses, and since when it waits ('': for the first time).
local function claims_of(mark)
  -- Most jobs have one limit.
  local since, key, only, units = string.match(mark, '^[^\n]*\n([^\n]*)\n(([^\n]*)\n[^\n]*)\n([^\n]*)$')
  if since then return {{name = only, key = key, units = tonumber(units)}}, since end
  local words, claims = {}, {}
  for word in string.gmatch(mark, '\n([^\n]*)') do words[#words + 1] = word end
  for at = 2, #words, 3 do
    local name = words[at]
    claims[#claims + 1] = {name = name, key = name .. '\n' .. words[at + 1], units = tonumber(words[at + 2])}
  end
  return claims, words[1]
end

local function is_fifo(claim)
  local limit = definition(claim.name)
  return limit and limit.order == 'fifo'
end

-- The mark with this one of its claims in front, the next one behind it, and so on.
local function turned(mark, claims, number)
  local words = {string.match(mark, '^([^\n]*\n[^\n]*)')}
  for step = 0, #claims - 1 do
    local claim = claims[(number - 1 + step) % #claims + 1]
    words[#words + 1] = claim.key
    words[#words + 1] = claim.units
  end
  return table.concat(words, '\n')
end

-- Which one of its claims a job waits for first: the fifo one, whose order it keeps only in that line.
local function front_of(claims)
  for number, claim in ipairs(claims) do
    if #claims > 1 and is_fifo(claim) then return number end
  end
  return 1
end

local function is_limited(mark) return string.find(mark, '\n', 1, true) ~= nil end

-- Its target said that it is too much: it stops, and then one job goes first, the probe, until whose end no other one starts.
local function throttle(key, till)
  redis.call('ZADD', stem .. 'stops', 'GT', till, key)
  redis.call('ZADD', stem .. 'probes', 0, key)
  redis.call('ZADD', stem .. 'dueroom', till, key)
  has_throttled = true
end

-- Whether its probe runs. One that a fifo key waits for, as it failed, is not kept waiting by itself.
local function is_probed(claim, id)
  local since = tonumber(redis.pcall('ZSCORE', stem .. 'probes', claim.key))
  if not since then return false end
  local holders = stem .. 'holders:' .. claim.key
  if since > 0 and not redis.call('ZSCORE', holders, id) then
    if redis.call('ZRANGE', holders, since, '+inf', 'BYSCORE', 'LIMIT', 0, 1)[1] then return true end
    redis.call('ZREM', stem .. 'probes', claim.key)
    return false
  end
  claim.is_probe = true
  return false
end

-- How many hold a key; nil: it is of the wrong type, which is mended by somebody, some time.
local function held_of(key)
  if not held_by[key] then
    local held = redis.pcall('ZCARD', stem .. 'holders:' .. key)
    held_by[key] = type(held) == 'number' and held or nil
  end
  return held_by[key]
end

-- Mostly no job holds any of these keys, as one look tells. Of each job: its claims.
local function look_at_holders(claims_by)
  local keys, names = {}, {}
  for _, claims in pairs(claims_by) do
    for _, claim in ipairs(claims) do
      keys[#keys + 1], names[#names + 1] = claim.key, stem .. 'holders:' .. claim.key
    end
  end
  if #names < 2 or redis.call('EXISTS', unpack(names)) > 0 then return end
  for _, key in ipairs(keys) do held_by[key] = 0 end
end

-- nil: this job may use what it claims of the key. Else in how many µs to look again, 0: when a job ends; then whether it is
-- since all places are taken.
local function closed(claim, id)
  local limit, now, held = definition(claim.name), micros(), held_of(claim.key)
  if not held then return 1000000 end
  if not limit then return end
  if has_throttled == nil then has_throttled = redis.call('EXISTS', stem .. 'stops', stem .. 'probes') > 0 end
  if has_throttled then
    local stop = tonumber(redis.pcall('ZSCORE', stem .. 'stops', claim.key))
    if stop and stop * 1000 > now then return stop * 1000 - now end
    if is_probed(claim, id) then return 0 end
  end
  if limit.concurrency and held >= limit.concurrency
    and not redis.call('ZSCORE', stem .. 'holders:' .. claim.key, id) then
    return 0, true
  end
  if limit.rate then
    local each = each_of(limit.rate)
    local burst = each * burst_of(limit.rate)
    local stored = redis.pcall('GET', stem .. 'tat:' .. claim.key)
    if type(stored) == 'table' then return 1000000 end
    -- No further ahead than the burst allows: a clock that was put back must not stop the key until it is there again. In whole
    -- µs, as it is stored: one that used up the burst is as far ahead then.
    local used = math.max(now, math.min(tonumber(stored or 0) or 0, now + math.floor(burst + 0.5)))
    claim.used = used + claim.units * each
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
end

-- In how many µs to look again, as `closed` says: at 0 it is when a job ends, or what an operator says, of which no other event
-- tells. Never later than another job of the key is to be looked at.
local function look_later(claim, wait)
  local changes = definition(claim.name).changes
  if changes and (wait == 0 or micros() + wait > changes) then wait = changes - micros() end
  if wait > 0 then redis.call('ZADD', stem .. 'dueroom', 'LT', math.ceil((micros() + wait) / 1000), claim.key) end
end

local function take_place(key, id, since)
  local added = redis.call('ZADD', stem .. 'holders:' .. key, since, id)
  if held_by[key] then held_by[key] = held_by[key] + added end
end

-- After `closed` has said nil for all of them.
-- `from_line`: it waited behind the first of them, whose key is known to be in use.
local function occupy(claims, id, from_line)
  for number, claim in ipairs(claims) do
    local since = math.floor(micros() / 1000)
    take_place(claim.key, id, since)
    if claim.is_probe then redis.call('ZADD', stem .. 'probes', since, claim.key) end
    if number > 1 or not from_line then redis.call('HSETNX', stem .. 'inuse', claim.key, '') end
    if claim.used then
      local left = math.ceil((claim.used - micros()) / 1000) + 1000
      redis.call('SET', stem .. 'tat:' .. claim.key, string.format('%.0f', claim.used), 'PX', left)
    end
  end
end

-- Gives back all that a job holds; with `refund` what it used of rates as well, unless it has run before: it has not started.
-- But what time has worked off of that, others may have used already: twice it would let in more than the rate allows.
-- `stays`: it keeps its places all the same. A job that leaves its stream is not lost over holders that are none.
local function release(id, mark, refund, stays)
  local claims, since = claims_of(mark)
  local is_fresh = refund and since == ''
  for _, claim in ipairs(claims) do
    local holders, tat = stem .. 'holders:' .. claim.key, stem .. 'tat:' .. claim.key
    local held_ms = refund and tonumber(redis.pcall('ZSCORE', holders, id))
    if stays and held_ms or redis.pcall('ZREM', holders, id) == 1 then
      held_by[claim.key] = nil
      redis.call('SADD', stem .. 'room', claim.key)
      -- A probe that did not run was none: the next one is.
      if held_ms and held_ms == tonumber(redis.call('ZSCORE', stem .. 'probes', claim.key)) then
        redis.call('ZADD', stem .. 'probes', 0, claim.key)
      end
      local limit = is_fresh and definition(claim.name)
      local used = limit and limit.rate and redis.pcall('GET', tat)
      if type(used) == 'string' then
        local charged = claim.units * each_of(limit.rate)
        local back = math.max(0, math.min(charged, charged - micros() + held_ms * 1000))
        redis.call('SET', tat, string.format('%.0f', used - back), 'KEEPTTL')
      end
      freed = true
    end
  end
end

-- What a job's fifo limit, of which it has one at most, says of failures; nil: it has none.
local function fifo_policy(mark)
  for _, claim in ipairs((claims_of(mark))) do
    if is_fifo(claim) then return definition(claim.name).on_failure or 'block' end
  end
end

-- Whether a job keeps what it holds while it waits for its retry, or lies dead: then the next one must not overtake it.
local function keeps(mark, dead)
  local policy = fifo_policy(mark)
  return policy == 'park' or policy == 'block' and not dead
end

-- It is dead, and where others wait for its revival they do so from now on.
local function release_dead(id, mark, died)
  if not keeps(mark, true) then return release(id, mark) end
  for _, claim in ipairs((claims_of(mark))) do redis.pcall('ZADD', stem .. 'holders:' .. claim.key, 'XX', -died, id) end
end

-- Nodes that have nothing to do look again.
local function tell_of_room()
  if freed then redis.call('PUBLISH', stem .. 'signals', 'room:') end
  freed = false
end
