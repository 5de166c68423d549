-- The last step of all that puts jobs somewhere.
-- mark: '' or ':<weight>:<fairness key>' and its limits. Returns where the job is, for the index; what waits is written by
-- `enqueued`, all at once.
local function enqueue(stream, fair, turns, id, record, mark)
  if is_limited(mark) then return join(stream, id, record, mark) end
  local line = mark ~= '' and turns_at(fair, turns)
  if not line or not line.waits and undelivered(stream) == 0 then
    return string.match(stream, '}:(q:.*)$') .. ':' .. redis.call('XADD', stream, '*', 'j', record)
  end
  stand(line, id, mark)
  local n = #line.records
  line.records[n + 1], line.records[n + 2] = id, record
  return 'f' .. string.match(stream, '}:q(:.*)$') .. mark
end

local function enqueued(parked)
  all_joined(parked)
  for fair, line in pairs(lines) do
    for key, ends in pairs(line.ends) do redis.call('ZADD', line.turns, ends, key) end
    in_parts('ZADD', fair, line.starts)
    in_parts('HSET', parked, line.records)
  end
  lines = {}
  tell_of_room()
end
