-- Workflows that nothing would move on (with `unique`, `family`, `progress` and `flow`). A look says, for a node or for a whole
-- workflow, what was seen of it: id of the workflow, number (-1: the whole), generation, letter of the state (of a whole: `o`,
-- all its nodes have ended; `n`, its cells say that nothing can happen; `!`, it cannot be read), what `results` calls the
-- node and id of its job (of a whole: of what undoes the last one; '': there is none).
local LOOK = 6

-- Whether something is about to be done for it. That of many is not gone through: it may be.
local function is_moving(id)
  local items = redis.call('ZRANGE', stem .. 'advance', 0, 500)
  for _, item in ipairs(items) do
    if string.sub(item, 1, 16) == id then return true end
  end
  return #items > 500
end

-- Whether it waits for nothing but for the workflow to begin.
local function is_root(id, number)
  local program = redis.call('HGET', stem .. 'graph:' .. hex(id), 'b') or ''
  for at = 3, #program - 3, 4 do
    if struct.unpack('>I2', program, at) == tonumber(number) then return true end
  end
  return false
end

-- The job of one that runs.
local function missing_end(id, member, job)
  local advance, ended = stem .. 'advance', redis.call('HGET', stem .. 'results:' .. hex(id), member)
  if ended then
    local item = item_of(id, member, text_of(values(ended, 4, 15)[15]))
    return not redis.call('ZSCORE', advance, item) and item
  end
  if redis.call('HEXISTS', stem .. 'index', job) == 1 then return end
  if redis.call('ZSCORE', stem .. 'ready', id .. string.sub(member, 2)) then return end
  -- What lies in the quarantine may be brought back.
  return redis.pcall('XLEN', stem .. 'quarantine') == 0 and 'job' or nil
end

local function missing_of_whole(id, head, letter, member, job)
  if letter == 'n' then return not is_moving(id) and 'count' or nil end
  if letter ~= 'o' or head.left > 0 or head.paused == 1 or redis.call('ZSCORE', stem .. 'finishing', id) then return end
  local missing = member ~= '' and missing_end(id, member, job)
  if member ~= '' and not missing then return end
  return missing == 'job' and 'job' or 'end'
end

-- What is missing, or nothing: an item of `advance`; `end`, one of `finishing`; `job`, the job is nowhere; `count`, its cells say
-- that nothing can happen; `all`, it cannot be read.
local function missing_of(id, number, generation, letter, member, job)
  if letter == '!' then
    local found = redis.pcall('GETRANGE', progress_of(id), 0, HEAD - 1)
    return (type(found) ~= 'string' or #found < HEAD) and 'all' or nil
  end
  local head = live_head(id)
  if not head or head.generation ~= tonumber(generation) then return end
  if number == '-1' then return missing_of_whole(id, head, letter, member, job) end
  if state_of(id, number) ~= letter then return end
  if letter == 'r' then return missing_end(id, member, job) end
  local item = id .. (letter == 'y' and 'g' or 'k') .. number .. '.' .. generation
  local advance, begin = stem .. 'advance', id .. 'b0.' .. generation
  if redis.call('ZSCORE', advance, item) or redis.call('ZSCORE', advance, begin) then return end
  if letter == 'y' then
    if head.paused == 1 or head.stopped ~= 0 then return end
    if redis.call('ZSCORE', stem .. 'ready', id .. number .. '.' .. generation) then return end
  end
  return letter == 'p' and is_root(id, number) and begin or item
end
