#!lua flags=allow-oom
-- Gives a node jobs of kinds that it knows, and others declined: into a stream and to this node in one step, and only while
-- nothing else is undelivered there, so no node that does not know the kind gets them in between.
-- KEYS  own_fence, index, parked, quarantine, unserved, versionlines, in_use, dueroom, then in order pairs: a zset `declined`, the stream to deliver from
-- ARGV  epoch, node, want, then pairs: number of a zset's key, kind of which jobs wait there
-- USES  stem, limits, holders, admission, turns, kind_line, vacate
-- Returns entries as XREADGROUP does, none to a node that has lost its lease; an error NOGROUP when a stream has lost its group
-- Members of a line that are looked at in one call.
local MOST = 1000
-- What it was given would only wait for its end to be noticed, and of a job that runs alone it would announce a run.
if redis.pcall('GET', own_fence) ~= epoch then return {} end
local wanted, found, kinds = tonumber(want), {}, {}
for at = 4, #ARGV, 2 do
  local key = tonumber(ARGV[at])
  kinds[key] = kinds[key] or {}
  table.insert(kinds[key], ARGV[at + 1])
end

local function deliver(stream, count)
  local reply = redis.call('XREADGROUP', 'GROUP', 'nodes', node, 'COUNT', count, 'STREAMS', stream, '>')
  if not reply then return end
  found[#found + 1] = reply[1]
  wanted = wanted - #reply[1][2]
end

-- Of all kinds together, those that were created first.
local function first(key, most)
  local members = {}
  for _, kind in ipairs(kinds[key]) do
    for _, member in ipairs(first_of(KEYS[key], kind, most)) do members[#members + 1] = member end
  end
  table.sort(members, function(one, other) return string.sub(one, -16) < string.sub(other, -16) end)
  return {unpack(members, 1, most)}
end

local full = {}

-- With all of its limits or none: else it stays where it is, until the next look.
local function let_in(id)
  local mark = mark_of_declined(redis.call('HGET', index, id))
  if not is_limited(mark) then return true end
  local claims = claims_of(mark)
  for _, claim in ipairs(claims) do
    if full[claim.key] then return false end
  end
  local number, wait = refusal_of(claims, id)
  if number then
    look_later(claims[number], wait)
    full[claims[number].key] = true
    return false
  end
  occupy(claims, id)
  return true
end

local function go_ahead(key, stream)
  local place, moved, kept, most = string.match(stream, '}:(q:.*)$') .. ':', 0, {}, wanted
  repeat
    local members = first(key, most)
    for _, member in ipairs(members) do
      if moved == wanted then break end
      local id = string.sub(member, -16)
      local record = not kept[id] and redis.call('HGET', parked, id)
      if kept[id] or record and not let_in(id) then
        kept[id] = true
      elseif record then
        moved = moved + 1
        redis.call('HSET', index, id, place .. redis.call('XADD', stream, '*', 'j', record))
      else
        redis.call('XADD', quarantine, '*', 'id', id, 'record', '', 'reason', 'a node knows its kind, but its record is gone')
        redis.call('HDEL', index, id)
      end
      if not kept[id] then
        redis.call('HDEL', parked, id)
        redis.call('ZREM', KEYS[key], member)
      end
    end
    -- Those behind a full limit let others by.
    local all = #members < most or most >= MOST
    most = math.min(4 * most, MOST)
  until moved == wanted or all
  if moved > 0 then deliver(stream, moved) end
end

for key = 9, #KEYS, 2 do
  local declined, stream = KEYS[key], KEYS[key + 1]
  local ahead, lost = undelivered(stream)
  if lost or redis.call('EXISTS', stream) == 0 then return redis.error_reply('NOGROUP of ' .. stream) end
  if wanted > 0 and ahead > 0 then deliver(stream, math.min(ahead, wanted)) end
  if wanted > 0 then go_ahead(key, stream) end
  local name = string.match(declined, '}:declined:(.*)$') .. ':'
  for _, kind in ipairs(kinds[key]) do
    redis.call('ZADD', unserved, 'XX', redis.call('ZSCORE', unserved, '') or 0, name .. kind)
    vacate(unserved, declined, name .. kind)
  end
end
return found
