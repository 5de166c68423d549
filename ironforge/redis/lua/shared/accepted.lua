-- Jobs that were accepted with a workflow and are put into their streams later (with `unique` and what `enqueue` needs): nothing
-- refuses them any more. `place`: `<queue>:<priority>`.

-- In front of the first write: an error for a key of the wrong type among those that this writes to; or nothing.
local function wrong_accepted(id, place, mark, record)
  local names = {}
  for number, word in ipairs({'q:', 'fair:', 'turns:'}) do names[number] = stem .. word .. place end
  names[4] = stem .. 'expiries'
  local other = rival(id, record)
  return wrong_type(names) or wrong_mark(place, mark) or other and other.wrong
end

-- It expires in so many ms (0: never). Returns the id of the job that has its unique key, which it stands for then; nothing
-- where it is stored.
local function put_accepted(id, place, mark, record, expires_in)
  local other, take = rival(id, record)
  if other then return other.id end
  take()
  if tonumber(expires_in) > 0 then
    local moment = millis() + expires_in
    record = with_expiry(record, moment)
    redis.call('ZADD', stem .. 'expiries', moment, id)
  end
  redis.call('SADD', stem .. 'queues', string.match(place, '^[^:]*'))
  local names = {stem .. 'q:' .. place, stem .. 'fair:' .. place, stem .. 'turns:' .. place}
  redis.call('HSET', stem .. 'index', id, enqueue(names[1], names[2], names[3], id, record, mark))
  count(stem .. 'totals', 'submitted', 1)
end
