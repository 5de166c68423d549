-- Workflows that nothing would move on (with `progress`). A look says, for a node or for a whole workflow, what was seen of it:
-- id of the workflow, this in hexadecimal digits, number (-1: the whole), generation, letter of the state (of a whole: `o`,
-- all its nodes have ended; `n`, its cells say that nothing can happen; `!`, it cannot be read), what `results` calls the
-- node and id of its job (of a whole: of what undoes the last one; '': there is none).
local LOOK, CELL, MOST_RUNS = 7, 4, 1000

local function is_due(item) return redis.call('ZSCORE', stem .. 'advance', item) end

-- Whether something is about to be done for it. That of many is not gone through: it may be.
local function is_moving(id)
  local items = redis.call('ZRANGE', stem .. 'advance', 0, 500)
  for _, item in ipairs(items) do
    if string.sub(item, 1, 16) == id then return true end
  end
  return #items > 500
end

-- Whether another workflow that its schedule has started before is to end first.
local function is_behind(id)
  local schedule = redis.pcall('HGET', stem .. 'runsof', id)
  local runs = type(schedule) == 'string' and redis.pcall('LRANGE', stem .. 'runs:' .. schedule, 0, MOST_RUNS) or {}
  -- What is of the wrong type goes on once that is out of the way.
  if type(schedule) == 'table' or runs.err then return true end
  for _, run in ipairs(runs) do
    if run == id then return false end
    if string.sub(redis.call('HGET', stem .. 'index', run) or '', 1, 2) == 'w:' then return true end
  end
  return false
end

-- Whether it waits for nothing but for the workflow to begin.
local function is_root(digits, number)
  local program = redis.pcall('HGET', stem .. 'graph:' .. digits, 'b')
  for at = 3, type(program) == 'string' and #program - 3 or 0, 4 do
    if struct.unpack('>I2', program, at) == tonumber(number) then return true end
  end
  return false
end

-- The job of one that runs.
local function missing_end(id, digits, member, job)
  local place, told = string.sub(member, 2), redis.pcall('HEXISTS', stem .. 'results:' .. digits, member)
  if type(told) == 'table' then return end
  if told == 1 then
    return not is_due(id .. 's' .. place) and not is_due(id .. 'f' .. place) and not is_due(id .. 'c' .. place) and 'ended'
  end
  if redis.call('HEXISTS', stem .. 'index', job) == 1 or redis.call('ZSCORE', stem .. 'ready', id .. place) then return end
  -- What lies in the quarantine may be brought back.
  return redis.pcall('XLEN', stem .. 'quarantine') == 0 and 'job'
end

local function missing_of_whole(id, digits, head, letter, member, job)
  if letter == 'n' then return not is_moving(id) and 'count' end
  if head.left > 0 or head.paused ~= 0 or redis.call('ZSCORE', stem .. 'finishing', id) then return end
  -- Another one may be undone since.
  local undone, seen = redis.pcall('HGET', stem .. 'graph:' .. digits, 'x'), string.match(member, '^\n(%d+)')
  if type(undone) ~= 'table' and tonumber(undone or '') ~= (seen and seen - 10000) then return end
  if member == '' then return 'finish' end
  local missing = missing_end(id, digits, member, job)
  return (missing == 'ended' or missing and job == '') and 'finish' or missing
end

local function missing_start(id, digits, number, generation, letter, head)
  local place = number .. '.' .. generation
  local item, begin = id .. (letter == 'y' and 'g' or 'k') .. place, id .. 'b0.' .. generation
  if is_due(item) or is_due(begin) then return end
  if letter == 'p' then return 'item', is_root(digits, number) and begin or item end
  if head.paused == 1 or head.stopped ~= 0 or redis.call('ZSCORE', stem .. 'ready', id .. place) then return end
  if head.paused > 1 then return not is_behind(id) and 'turn' end
  return 'item', item
end

-- What is missing, if anything: `turn`, nothing is in front of it for which it is held back; `item`, this one of `advance`;
-- `ended`, that which says how its job ended; `finish`, one of `finishing`; `job`, the job is nowhere; `count`, its cells say that
-- nothing can happen; `all`, it cannot be read.
local function missing_of(id, digits, number, generation, letter, member, job)
  local progress = stem .. 'progress:' .. digits
  local found = redis.pcall('GETRANGE', progress, 0, HEAD - 1)
  -- One of the wrong type goes on once that is out of the way.
  if type(found) == 'table' then return end
  if letter == '!' then
    return not is_whole(#(redis.call('GET', progress) or '')) and not redis.call('ZSCORE', stem .. 'finishing', id) and 'all'
  end
  local head = #found == HEAD and read_head(found)
  if not head or head.generation ~= tonumber(generation) then return end
  if string.sub(redis.call('HGET', stem .. 'index', id) or '', 1, 2) ~= 'w:' then return end
  if number == '-1' then return missing_of_whole(id, digits, head, letter, member, job) end
  local at = HEAD + CELL * number
  if redis.call('GETRANGE', progress, at, at) ~= letter then return end
  if letter == 'r' then return missing_end(id, digits, member, job) end
  return missing_start(id, digits, number, generation, letter, head)
end
