-- What happens to submissions whose unique keys other jobs hold. Nothing is written before `take_keys`.
-- By key: the job that has it. By job, as `at` says: the id that it is stored under instead of its own.
local newer, owners, stored_as = true, {}, {}
local any_held, ways, is_own = false, {}, {}

local function unique_key(at) return stem .. 'unique:' .. ARGV[at + 5] end

-- One question for all keys of a call: most are free, and nothing more is asked then.
local function are_held(first, width)
  local keys = {}
  for at = first, #ARGV, width do
    if ARGV[at + 5] ~= '' then keys[#keys + 1] = unique_key(at) end
  end
  for at = 1, #keys, 2000 do
    any_held = any_held or redis.call('EXISTS', unpack(keys, at, math.min(at + 1999, #keys))) > 0
  end
  return any_held
end

-- `<conflict>:<ms>:<most ms>`, in the same words for most jobs of a call.
local function way_of(words)
  if not ways[words] then
    local how, for_ms, most = string.match(words, '^(%a):(%d+):(%d+)$')
    ways[words] = {how = how, for_ms = tonumber(for_ms), most = tonumber(most)}
  end
  return ways[words]
end

-- Whether this is the record of the same child as that.
local function is_same_child(record, other)
  local one, two = kin(record), kin(other)
  if not one or not two then return false end
  local parent, member = parent_of(one)
  local other_parent, other_member = parent_of(two)
  return parent and parent == other_parent and member == other_member
end

-- How the submission at `at` gets on: nothing when it is stored as it is; else the job that it stands for with the letter
-- of its place, or what refuses the call. `due`: when it may start, nil: at once. One of the same call that it takes the
-- place of is `known` then. `number`: of the job, for what refuses it.
local function resolve(at, id, due, known, number)
  local key, way = unique_key(at), way_of(ARGV[at + 6])
  local owner = owners[key] or any_held and owner_of(key)
  if owner and owner.wrong then return nil, nil, owner.wrong end
  if not owner or owner.free or way.how == 'd' and owner.started then
    owners[key] = {id = id, fresh = true, for_ms = way.for_ms, at = at, letter = due and 's' or 'q', before = owner}
    return
  end
  owners[key] = owner
  -- Children (`x`: one that replaces) are never refused for it: their parent is told.
  if way.how == 'r' or way.how == 'x' and owner.started then
    is_own[at] = way.how == 'x' and is_same_child(owner.record, ARGV[at + 2])
    return owner.id, owner.letter
  end
  if way.how == 'j' or owner.started then return nil, nil, {'duplicate', owner.id, owner.letter, number} end
  local wrong = not owner.fresh and (wrong_at(owner.location, owner.mark) or wrong_kin(owner.record))
  if wrong then return nil, nil, wrong end
  if owner.at then known[owner.at] = true end
  owner.at, owner.letter, owner.for_ms = at, due and 's' or 'q', way.for_ms
  owner.latest = way.most > 0 and minute_of(owner.id) + way.most or nil
  stored_as[at] = owner
  return owner.id, owner.letter
end

-- Of a job that takes the place of another one: its record under that one's id.
local function under_id(record, id) return string.sub(record, 1, 6) .. id .. string.sub(record, 23) end

local function take_keys(scheduled, parked, delayed)
  for key, owner in pairs(owners) do
    if owner.fresh then
      take_key(key, owner.id, owner.for_ms, owner.before)
    elseif owner.at then
      -- It is held as this one says: a time goes on, or begins, or there is none.
      if owner.for_ms > 0 then
        redis.call('PEXPIRE', key, owner.for_ms, 'NX')
      else
        take_key(key, owner.id, 0, owner)
      end
      -- The job that was there is no more, though its id goes on; unless the same child is submitted again.
      if not is_same_child(owner.record, ARGV[owner.at + 2]) then
        tell_parent(owner.record, 'another submission with its unique key has taken its place')
      end
      withdraw(scheduled, parked, delayed, owner.id, owner.location)
      -- One that was let in, and not delivered yet, has its places already.
      if owner.mark ~= '' then
        release(owner.id, owner.mark, true)
        -- Those whose turn it is now are among the turns before the next one is looked for there.
        enqueued(parked)
      end
    end
  end
end
