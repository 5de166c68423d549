-- How many jobs of a queue are scheduled or waiting: what keeps its name in use. `place`: `s:<queue>:<priority>…`, or `w:`.
local function delay(delayed, place, by)
  local queue = string.match(place, '^[sw]?:([^:]*):')
  local count = queue and redis.pcall('HINCRBY', delayed, queue, by)
  if type(count) == 'number' and count <= 0 then redis.call('HDEL', delayed, queue) end
end
