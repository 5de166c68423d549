-- A job gives up: it lies dead with this record, and gives back its unique key and what it holds of limits.
local function die(id, record, mark, died)
  redis.call('ZADD', stem .. 'dead', died, id)
  redis.call('HSET', stem .. 'parked', id, record)
  redis.call('HSET', stem .. 'index', id, 'd')
  release_key(id, record)
  if is_limited(mark) then release_dead(id, mark, died) end
  tell_parent(record)
  -- Its own children are of no use to it now; what those that have ended told it stays, for its revival.
  if kin(record) then redis.call('ZADD', stem .. 'families', 'XX', -1, id) end
end
