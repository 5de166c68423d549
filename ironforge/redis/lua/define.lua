#!lua
-- Says what holds for a limit: what the code says (`limit`), or what an operator says instead (`override`).
-- KEYS  limits
-- ARGV  name, part, said, most
--       said: JSON, '' to take it back
--       most: limits that may be defined
-- Returns 1, or 2: that is what it said before, or 0: there is no such limit, or -1: there are as many as there may be
local before = redis.call('HGET', limits, name) or ''
local known, found = pcall(cjson.decode, before)
if not known or type(found) ~= 'table' then found = {} end
if part == 'override' and not found.limit then return 0 end
if part == 'limit' and said ~= '' and not found.limit and redis.call('HLEN', limits) >= tonumber(most) then
  local defined = 0
  for _, text in ipairs(redis.call('HVALS', limits)) do
    if text ~= '{}' then defined = defined + 1 end
  end
  if defined >= tonumber(most) then return -1 end
end
if said == '' then found[part] = nil else found[part] = cjson.decode(said) end
-- The name of one that was taken back stays: jobs that wait for it are to be let in.
local text = next(found) and cjson.encode(found) or '{}'
if text == before then return 2 end
redis.call('HSET', limits, name, text)
return 1
