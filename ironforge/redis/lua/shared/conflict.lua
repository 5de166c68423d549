-- What happens to submissions whose unique keys other jobs hold. Nothing is written before `take_keys`.
-- By key: the job that has it. By job, as `at` says: the id that it is stored under instead of its own; those that others
-- of the same call take the place of.
local owners, stored_as, outdated = {}, {}, {}

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
      before = owner}
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
      take_key(key, owner.id, owner.for_ms, owner.before)
    elseif owner.at then
      withdraw(scheduled, parked, delayed, owner.id, owner.location)
      -- One that was let in, and not delivered yet, has its places already.
      if owner.mark ~= '' then release(owner.id, owner.mark, true) end
    end
  end
end
