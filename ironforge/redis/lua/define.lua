#!lua
-- Says what holds for a limit: how it is defined (`limit`), or what an operator says instead (`override`).
-- KEYS  limits, limit_versions, nodes, roster, in_use, room
-- ARGV  name, part, said, digest, versions_kept, most
--       said: JSON, '' to take it back
--       digest: of the definition that code says; '': an operator says it
--       most: limits that may be defined, without those of IronForge itself
-- USES  clock, stem, versions, limit_versions
-- Returns 1, or 2: that is what held before, or 0: there is no such limit, or -1: there are as many as there may be
local found, before = limit_of(name)

-- One that code says counts from when its node joins: until then it may end without having taken a job. But where nothing else
-- counts it holds at once.
local function announced()
  local versions, defined = versions_of(redis.call('HGET', limit_versions, name)), defined_now('limits', nodes, roster, now)
  for place, version in ipairs(versions) do
    -- What an operator says is always the newest.
    if digest == '' and version[1] == '' then table.remove(versions, place) break end
  end
  add_version(versions, digest, said, now, tonumber(versions_kept), function(one) return is_counted(name, one, defined) end)
  redis.call('HSET', limit_versions, name, cjson.encode(versions))
  return cjson.decode(counting(name, versions, defined) or said)
end

if part == 'override' and not found.limit then return 0 end
if part == 'limit' and said ~= '' and not found.limit and redis.call('HLEN', limits) >= tonumber(most) then
  local defined, all = 0, redis.call('HGETALL', limits)
  for at = 1, #all, 2 do
    if all[at + 1] ~= '{}' and not string.match(all[at], '^ironforge%.') then defined = defined + 1 end
  end
  if defined >= tonumber(most) then return -1 end
end
if said == '' then
  found[part] = nil
  if part == 'limit' then redis.call('HDEL', limit_versions, name) end
elseif part == 'limit' then
  found.limit = announced()
else
  found.override = cjson.decode(said)
end
-- The name of one that was taken back stays: jobs that wait for it are to be let in.
local text = next(found) and cjson.encode(found) or '{}'
if text == before then return 2 end
redis.call('HSET', limits, name, text)
return 1
