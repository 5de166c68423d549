-- Unique keys, as records of version 2 say them. The server's own msgpack reads no bytes, so values are cut out here.
-- By their first byte: of how many bytes the size of a text or of bytes is, and how long a number is.
local widths = {[196] = 1, [197] = 2, [198] = 4, [217] = 1, [218] = 2, [219] = 4}
local numbers = {[202] = 5, [203] = 9, [204] = 2, [205] = 3, [206] = 5, [207] = 9, [208] = 2, [209] = 3, [210] = 5, [211] = 9}

local function size_at(text, at, bytes)
  local found = 0
  for n = 1, bytes do found = found * 256 + string.byte(text, at + n) end
  return found
end

local behind
function behind(text, at)
  local head = string.byte(text, at)
  if head < 128 or head > 223 or head == 192 or head == 194 or head == 195 then return at + 1 end
  if head > 159 and head < 192 then return at + 1 + head - 160 end
  local width, number = widths[head], numbers[head]
  if width then return at + 1 + width + size_at(text, at, width) end
  if number then return at + number end
  local items, from = head - 144, at + 1
  if head == 220 then items, from = size_at(text, at, 2), at + 3 end
  for _ = 1, items do from = behind(text, from) end
  return from
end

-- The first values of an array, still encoded; `from`: where the first one begins.
local function values(text, from, count)
  local found = {}
  for n = 1, count do
    local next_one = behind(text, from)
    found[n], from = string.sub(text, from, next_one - 1), next_one
  end
  return found
end

local function text_of(value)
  local head = string.byte(value)
  return string.sub(value, head == 217 and 3 or head == 218 and 4 or 2)
end

local function number_of(value)
  local number = #value == 1 and string.byte(value) or 0
  for at = 2, #value do number = number * 256 + string.byte(value, at) end
  return number
end

-- The record of a job that expires, with its moment, the 26th of the values.
local function with_expiry(record, moment)
  local from = 4
  for _ = 1, 25 do from = behind(record, from) end
  return string.sub(record, 1, from - 1) .. '\207' .. struct.pack('>I8', moment) .. string.sub(record, behind(record, from))
end

-- Its key, how that is held and for how many ms, and all values of the record; nothing without a unique key.
local function unique_of(record)
  if string.byte(record, 1) ~= 220 or string.byte(record, 4) ~= 2 then return end
  local job = values(record, 4, 26)
  if job[25] == '\192' then return end
  local unique = values(job[25], 2, 3)
  local key = stem .. 'unique:' .. text_of(job[3]) .. ':' .. text_of(unique[1])
  return key, text_of(unique[2]), number_of(unique[3]), job
end

-- The job ends, or is dead: it holds its key no longer, but for one that is held for a time alone.
local function release_key(id, record)
  local key, holding = unique_of(record)
  if key and holding ~= '' then redis.pcall('SREM', key, id) end
end

-- The limits in a record of a job that has not run yet, as its mark has them.
local function mark_of(limits)
  local words = {}
  for _, use in ipairs(values(limits, 2, string.byte(limits) - 144)) do
    local name, key, units = unpack(values(use, 2, 3))
    words[#words + 1] = '\n' .. text_of(name) .. '\n' .. text_of(key) .. '\n' .. string.format('%.0f', number_of(units))
  end
  return #words > 0 and ':1:-\n' .. table.concat(words) or ''
end

local function minute_of(id)
  local ms = 0
  for at = 1, 6 do ms = ms * 256 + string.byte(id, at) end
  return ms, string.format('%.0f', math.floor(ms / 60000))
end

-- What ends gives its key back in the same transaction. So one without a time of its own and without its job is a bug, or
-- damage; but what lies in the quarantine may be brought back.
local function is_lost(key)
  return redis.call('PTTL', key) == -1 and redis.pcall('XLEN', stem .. 'quarantine') == 0
end

-- As cancel finds it: what is pending has started. What ran before, or was delivered, has a fence, too.
local function owner_of(key)
  local held = redis.pcall('SMEMBERS', key)
  if held.err then return {wrong = redis.error_reply('WRONGTYPE ' .. key .. ' must be a set')} end
  local id = held[1]
  if not id then return {free = true} end
  local owner, location = {id = id}, redis.call('HGET', stem .. 'index', id)
  if not location then
    if is_lost(key) then return {id = id, free = true, lost = true} end
    local _, minute = minute_of(id)
    local ended = redis.call('HGET', stem .. 'done:' .. minute, id) or redis.call('HGET', stem .. 'kept:' .. minute, id)
    owner.letter = 'e'
    if ended and values(ended, 4, 15)[15] == '\169cancelled' then owner.letter = 'x' end
    owner.started = true
    return owner
  end
  local running, record = seen_at(id, location)
  owner.location, owner.letter, owner.record = location, running and 'c' or string.sub(location, 1, 1), record
  local _, holding, _, job = unique_of(record or '')
  owner.started = running or not job or job[11] ~= '\0' or job[13] ~= '\0' or owner.letter == 'd'
  owner.free = owner.started and holding == 'queued'
  local moment = job and number_of(job[26]) or 0
  if not owner.started and moment > 0 and moment * 1000 <= micros() then
    -- It never starts: it is cancelled, whether that has been done or not.
    owner.letter, owner.started, owner.free = 'x', true, holding ~= ''
  end
  owner.mark = job and mark_of(job[24]) or ''
  return owner
end

-- `before`: as `owner_of` says, if it was asked; a job that has it needs it no more.
local function take_key(key, id, for_ms, before)
  if before and before.id then redis.call('DEL', key) end
  if before and before.lost then redis.call('HINCRBY', stem .. 'totals', 'lost_unique_keys', 1) end
  redis.call('SADD', key, id)
  if for_ms > 0 then redis.call('PEXPIRE', key, for_ms) end
end

-- Of a job that comes back: the one that has its key, which then it may not have. Without one: what takes the key.
local function rival(id, record)
  local key, holding, for_ms = unique_of(record)
  if not key or holding == '' then return nil, function() end end
  local owner = owner_of(key)
  if owner.id ~= id and not owner.free then return owner end
  return nil, function() take_key(key, id, for_ms, owner) end
end
