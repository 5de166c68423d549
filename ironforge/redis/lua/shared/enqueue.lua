-- The last step of all that puts jobs somewhere.
-- mark: '' or ':<weight>:<fairness key>' and its limits. Returns where the job is, for the index; what waits is written by
-- `enqueued`, all at once.
local function enqueue(stream, fair, turns, id, record, mark)
  if is_limited(mark) then return join(stream, id, record, mark) end
  local rotation = mark ~= '' and rotation_at(fair, turns)
  if not rotation or not rotation.waits and undelivered(stream) == 0 then
    return string.match(stream, '}:(q:.*)$') .. ':' .. redis.call('XADD', stream, '*', 'j', record)
  end
  stand(rotation, id, mark)
  local n = #rotation.records
  rotation.records[n + 1], rotation.records[n + 2] = id, record
  return 'f' .. string.match(stream, '}:q(:.*)$') .. mark
end

local function enqueued(parked)
  all_joined(parked)
  for fair, rotation in pairs(rotations) do
    for key, ends in pairs(rotation.ends) do redis.call('ZADD', rotation.turns, ends, key) end
    in_parts('ZADD', fair, rotation.starts)
    in_parts('ZREM', rotation.behind, rotation.came)
    in_parts('HSET', parked, rotation.records)
  end
  rotations = {}
  tell_of_room()
end
