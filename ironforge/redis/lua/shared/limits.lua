-- Limits: what they say, and what jobs use of them. That stands in a job's mark behind the turn: `\n<since ms>`, and for
-- each limit `\n<name>\n<key>\n<units>`.
local instant, instant_ms, definitions = nil, nil, {}

-- Unix time in microseconds.
local function micros()
  if not instant then
    local time = redis.call('TIME')
    instant = time[1] * 1000000 + time[2]
  end
  return instant
end

local function millis()
  if not instant_ms then instant_ms = math.floor(micros() / 1000) end
  return instant_ms
end

-- What holds for a limit now; false: there is none of this name, and it limits nothing.
local function definition(name)
  if definitions[name] == nil then
    local text = redis.pcall('HGET', stem .. 'limits', name)
    local known, found = pcall(cjson.decode, type(text) == 'string' and text or '')
    local limit = known and type(found) == 'table' and type(found.limit) == 'table' and found.limit or false
    local override = limit and found.override
    if override and ((override.until_ms or 0) == 0 or override.until_ms * 1000 > micros()) then
      limit.rate = override.rate or limit.rate
      -- Also where it became fifo when there was an override already: one after the other is what it promises.
      if limit.order ~= 'fifo' then limit.concurrency = override.concurrency or limit.concurrency end
      limit.changes = (override.until_ms or 0) > 0 and override.until_ms * 1000
    end
    definitions[name] = limit
  end
  return definitions[name]
end

-- What becomes of a job that its limit does not let in.
local function policy_of(name)
  local limit = definition(name)
  return limit and limit.when_full or 'wait'
end

-- In µs, for how long a unit uses a rate.
local function each_of(rate) return (rate.per_seconds or 1) * 1000000 / rate.units end

-- The units that a rate lets through at once.
local function burst_of(rate)
  if (rate.burst or 0) > 0 then return rate.burst end
  return math.max(1, math.floor(rate.units / (rate.per_seconds or 1) * 0.1))
end

-- Until when a rate may be used up, in whole µs, as it is stored.
local function furthest(rate) return micros() + math.floor(each_of(rate) * burst_of(rate) + 0.5) end

-- `units`: as text, for most limits count none.
local function claim_on(name, key, units)
  return {name = name, key = key, units = units, holders = stem .. 'holders:' .. key}
end

-- What a mark says that a job uses, or what the index says of one that waits behind a limit; and since when it waits (''
-- for the first time).
local function claims_of(mark)
  -- Most jobs have one limit.
  local since, key, only, units = string.match(mark, '^[^\n]*\n([^\n]*)\n(([^\n]*)\n[^\n]*)\n([^\n]*)$')
  if since then return {claim_on(only, key, units)}, since end
  local words, claims = {}, {}
  for word in string.gmatch(mark, '\n([^\n]*)') do words[#words + 1] = word end
  for at = 2, #words, 3 do
    local name = words[at]
    claims[#claims + 1] = claim_on(name, name .. '\n' .. words[at + 1], words[at + 2])
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

-- What a job's fifo limit, of which it has one at most, says of failures; nil: it has none.
local function fifo_policy(mark)
  for _, claim in ipairs((claims_of(mark))) do
    if is_fifo(claim) then return definition(claim.name).on_failure or 'block' end
  end
end

-- Whether a job keeps its fifo key while it waits for its retry, or lies dead: then the next one must not overtake it.
local function keeps(mark, dead)
  local policy = fifo_policy(mark)
  return policy == 'park' or policy == 'block' and not dead
end
