-- What happens to submissions whose unique keys other jobs hold. Nothing is written before `take_keys`.
-- By key: the job that has it. By job, as `at` says: the id that it is stored under instead of its own; those that others
-- of the same call take the place of.
local owners, stored_as, outdated = {}, {}, {}

local function minute_of(id)
  local ms = 0
  for at = 1, 6 do ms = ms * 256 + string.byte(id, at) end
  return ms, string.format('%.0f', math.floor(ms / 60000))
end

-- As cancel finds it: what is pending has started. What ran before, or was delivered, has a fence, too.
local function owner_of(key)
  local held = redis.pcall('SMEMBERS', key)
  if held.err then return {wrong = redis.error_reply('WRONGTYPE ' .. key .. ' must be a set')} end
  local id = held[1]
  if not id then return {free = true} end
  local owner, location = {id = id}, redis.call('HGET', stem .. 'index', id)
  if not location then
    local _, minute = minute_of(id)
    local ended = redis.call('HGET', stem .. 'done:' .. minute, id) or redis.call('HGET', stem .. 'kept:' .. minute, id)
    owner.letter = 'e'
    if ended and values(ended, 4, 15)[15] == '\169cancelled' then owner.letter = 'x' end
    owner.started = true
    return owner
  end
  local stream, entry = string.match(location, '^[qc]:(.*):(%d+%-%d+)$')
  local record, running = redis.call('HGET', stem .. 'parked', id), false
  if stream then
    local body = redis.call('XRANGE', stem .. 'q:' .. stream, entry, entry)[1]
    local pending = redis.pcall('XPENDING', stem .. 'q:' .. stream, 'nodes', entry, entry, 1)
    record, running = body and body[2][2], not pending.err and #pending > 0
  end
  owner.location, owner.letter = location, running and 'c' or string.sub(location, 1, 1)
  local _, holding, _, job = unique_of(record or '')
  owner.started = running or not job or job[11] ~= '\0' or job[13] ~= '\0' or owner.letter == 'd'
  owner.free = running and holding == 'queued'
  return owner
end

-- How the submission at `at` gets on: nothing when it is stored as it is; else the job that it stands for with the letter
-- of its place, or what refuses the call. `due`: when it may start, nil: at once.
local function resolve(at, id, words, due)
  local how, for_ms, most, name = string.match(words, '^(%a):(%d+):(%d+):(.*)$')
  local key = stem .. 'unique:' .. name
  owners[key] = owners[key] or owner_of(key)
  local owner = owners[key]
  if owner.wrong then return nil, nil, owner.wrong end
  if owner.free or how == 'd' and owner.started then
    owners[key] = {id = id, fresh = true, for_ms = tonumber(for_ms), at = at, letter = due and 's' or 'q',
      held = owner.id ~= nil}
    return
  end
  if how == 'r' then return owner.id, owner.letter end
  if how == 'j' or owner.started then return nil, nil, {'duplicate', owner.id, owner.letter} end
  if owner.at then outdated[owner.at] = true end
  owner.at, owner.letter = at, due and 's' or 'q'
  owner.latest = tonumber(most) > 0 and minute_of(owner.id) + tonumber(most) or nil
  stored_as[at] = owner
  return owner.id, owner.letter
end

-- Of a job that takes the place of another one: its record under that one's id.
local function under_id(record, id) return string.sub(record, 1, 6) .. id .. string.sub(record, 23) end

local function take_keys(scheduled, parked, delayed)
  for key, owner in pairs(owners) do
    if owner.fresh then
      if owner.held then redis.call('DEL', key) end
      redis.call('SADD', key, owner.id)
      if owner.for_ms > 0 then redis.call('PEXPIRE', key, owner.for_ms) end
    elseif owner.at then
      withdraw(scheduled, parked, delayed, owner.id, owner.location)
    end
  end
end
