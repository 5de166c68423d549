-- Children and their parents, as records say them (with `unique`): what ends tells its parent in the same script.

-- All values of the record of a child, or of a job that has recorded something; nothing of all others.
local function kin(record)
  if not record or string.byte(record, 1) ~= 220 or string.byte(record, 4) ~= 2 then return end
  local count = size_at(record, 1, 2)
  if count < 30 then return end
  local job = values(record, 4, count)
  if job[28] ~= '\194' or job[30] ~= '\192' then return job end
end

-- Nothing without a parent.
local function parent_of(job)
  if job[30] == '\192' then return end
  local ref = values(job[30], 2, string.byte(job[30]) - 144)
  local member = string.format('%s\n%.0f.%.0f', text_of(ref[2]), number_of(ref[3]), number_of(ref[4]))
  return string.sub(ref[1], 3), member, ref[5] == '\195', ref[8] and number_of(ref[8]) or 0
end

local function text(words)
  return #words < 32 and string.char(160 + #words) .. words or '\218' .. struct.pack('>I2', #words) .. words
end

-- Of the errors of a record the last one, without its traceback.
local function last_error(errors)
  local count, from = string.byte(errors) - 144, 2
  if count == 76 then count, from = size_at(errors, 1, 2), 4 end
  if count <= 0 then return '\144' end
  for _ = 2, count do from = behind(errors, from) end
  local error = values(errors, from + 1, string.byte(errors, from) - 144)
  error[6] = '\160'
  return '\145' .. string.sub(errors, from, from) .. table.concat(error)
end

-- What the parent keeps of a child. `reason`: of one that is cancelled by this; nothing where the record says how it ended.
local function end_record(job, reason)
  local kept = {unpack(job)}
  kept[6], kept[14] = '\196\0', last_error(job[14])
  if reason then
    kept[15], kept[16] = text('cancelled'), '\207' .. struct.pack('>I8', millis())
    kept[17], kept[18], kept[19] = '\0', '\196\0', text(reason)
  end
  return '\220' .. struct.pack('>I2', #kept) .. table.concat(kept)
end

-- What its workflow hears of a node that has ended so, as `advance` has it.
local LETTERS = {completed = 's', dead = 'f', cancelled = 'c'}
local function is_node(member) return string.byte(member) == 10 end
local function item_of(workflow, member, ended) return workflow .. (LETTERS[ended] or 'c') .. string.sub(member, 2) end

local function tell(parent, member, apart, ended, low)
  if apart then
    redis.call('XADD', stem .. 'outbox', '*', 'parent', parent, 'member', member, 'record', ended)
  elseif is_node(member) then
    redis.call('HSET', stem .. 'results:' .. hex(parent), member, ended)
    redis.call('ZADD', stem .. 'advance', millis(), item_of(parent, member, text_of(values(ended, 4, 15)[15])))
    redis.call('PUBLISH', stem .. 'signals', 'due:0')
  else
    redis.call('HDEL', stem .. 'children:' .. hex(parent), member)
    redis.call('HSET', stem .. 'results:' .. hex(parent), member, ended)
    redis.call('ZADD', stem .. 'wake', millis(), parent)
    if redis.call('HLEN', stem .. 'children:' .. hex(parent)) <= low then
      redis.call('PUBLISH', stem .. 'signals', 'due:0')
    end
  end
end

-- In front of the first write: an error for a key of the wrong type among those that this job's end writes to; or nothing.
local function wrong_kin(record)
  local job = kin(record)
  if not job then return end
  local names, parent, member, apart = {stem .. 'families'}, parent_of(job)
  if apart then
    names[2] = stem .. 'outbox'
  elseif parent then
    names[2], names[3], names[4] = stem .. 'children:' .. hex(parent), stem .. 'results:' .. hex(parent), stem .. (is_node(member) and 'advance' or 'wake')
  end
  return wrong_type(names)
end

-- A job ends, or is dead, with this record (with `reason`: the one that it had).
local function tell_parent(record, reason)
  local job = kin(record)
  local parent, member, apart, low = nil, nil, nil, nil
  if job then parent, member, apart, low = parent_of(job) end
  if parent then tell(parent, member, apart, end_record(job, reason), low) end
end
