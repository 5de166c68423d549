-- What the journals of jobs take (with `family` and `size`), as bytes: of many jobs some stand for the others.
local JOURNALS = 300

-- Also how many of these have one.
local function journals_among(ids, all)
  local found, bytes = 0, 0
  for _, id in ipairs(ids) do
    local taken = size(stem .. 'steps:' .. hex(id))
    found, bytes = found + (taken > 0 and 1 or 0), bytes + taken
  end
  return #ids > 0 and bytes * all / #ids or 0, found
end

-- Those that have not ended or are dead, but do not wait. Where few of those looked at have one, that tells nothing of the
-- others: a single large one must not count a thousand times.
local function of_others(index, waiting)
  local read, ids = redis.pcall('HSCAN', index, 0, 'COUNT', 3 * JOURNALS)[2] or {}, {}
  for at = 1, #read, 2 do
    if string.sub(read[at + 1], 1, 2) ~= 'w:' then ids[#ids + 1] = read[at] end
  end
  local all = math.max(#ids, redis.call('HLEN', index) - waiting)
  local bytes, found = journals_among(ids, all)
  return found < 10 and all > 0 and bytes * #ids / all or bytes
end

-- Of ended jobs, whose records are in these buckets.
local function of_ended(buckets)
  local bytes, most = 0, math.ceil(JOURNALS / #buckets)
  for _, bucket in ipairs(buckets) do
    local key = stem .. 'journals:' .. string.match(bucket, '}:(.*)$')
    local all, ids = redis.pcall('SCARD', key), redis.pcall('SSCAN', key, 0, 'COUNT', most)[2]
    if ids then bytes = bytes + size(key) + journals_among({unpack(ids, 1, math.min(most, #ids))}, all) end
  end
  return bytes
end

local function journal_bytes(index, buckets)
  local bytes, waiting = of_ended(buckets), redis.call('ZCARD', stem .. 'waiting:workflow')
  for _, what in ipairs({'sleep', 'event', 'children'}) do
    local key = stem .. 'waiting:' .. what
    local all = redis.call('ZCARD', key)
    bytes, waiting = bytes + journals_among(redis.call('ZRANDMEMBER', key, JOURNALS), all), waiting + all
  end
  return bytes + of_others(index, waiting)
end
