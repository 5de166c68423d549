-- Definitions of limits. Of those that code of nodes with a lease has, and what an operator said, the one first announced last
-- counts; it stands in `limits`, where jobs are taken by it. An operator's has no digest, and counts like that of a node which
-- never leaves.

-- What is kept of a limit: what code or an operator says of it (`limit`), and what an operator says instead (`override`).
local function limit_of(name)
  local text = redis.pcall('HGET', stem .. 'limits', name)
  return decoded({type(text) == 'string' and text or ''})[1], text
end

-- Has the definitions hold that count, of the limits that a node has in its code which came or went. Where none counts,
-- what held still holds: jobs that wait need it. Returns the names of those that changed.
local function settle_limits(said, nodes, roster, now)
  local changed, of_node = {}, decoded({said})[1].limits
  if type(of_node) ~= 'table' or not next(of_node) then return changed end
  local defined = defined_now('limits', nodes, roster, now)
  for name in pairs(of_node) do
    local versions = versions_of(redis.pcall('HGET', stem .. 'limitversions', name))
    local known, counts = pcall(cjson.decode, counting(name, versions, defined) or '')
    local found, before = limit_of(name)
    -- Where `limits` is of the wrong type a node joins, and is taken over, all the same.
    if known and type(before) ~= 'table' then
      found.limit = counts
      local text = cjson.encode(found)
      if text ~= before then
        redis.call('HSET', stem .. 'limits', name, text)
        changed[#changed + 1] = name
      end
    end
  end
  return changed
end
