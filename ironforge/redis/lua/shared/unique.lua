-- Unique keys, as records of version 2 say them. The server's own msgpack reads no bytes, so values are cut out here.
local behind
function behind(text, at)
  local head = string.byte(text, at)
  local function size(bytes)
    local found = 0
    for n = 1, bytes do found = found * 256 + string.byte(text, at + n) end
    return found
  end
  if head < 128 or head > 223 or head == 192 or head == 194 or head == 195 then return at + 1 end
  if head > 159 and head < 192 then return at + 1 + head - 160 end
  local width = ({[196] = 1, [197] = 2, [198] = 4, [217] = 1, [218] = 2, [219] = 4})[head]
  if width then return at + 1 + width + size(width) end
  local number = ({[202] = 5, [203] = 9, [204] = 2, [205] = 3, [206] = 5, [207] = 9, [208] = 2, [209] = 3, [210] = 5, [211] = 9})[head]
  if number then return at + number end
  local items, from = head - 144, at + 1
  if head == 220 then items, from = size(2), at + 3 end
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

-- Its key, how that is held and for how many ms, and all values of the record; nothing without a unique key.
local function unique_of(record)
  if string.byte(record, 1) ~= 220 or string.byte(record, 4) ~= 2 then return end
  local job = values(record, 4, 25)
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

-- Takes the key for a job: false, and which has it, when another one does.
local function take_key(id, record)
  local key, holding, for_ms = unique_of(record)
  if not key or holding == '' then return true end
  local owner = redis.call('SMEMBERS', key)[1]
  if owner and owner ~= id then return false, owner end
  if redis.call('SADD', key, id) == 1 and for_ms > 0 then redis.call('PEXPIRE', key, for_ms) end
  return true
end
