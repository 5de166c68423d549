#!lua flags=allow-oom
-- Forgets definitions of kinds that no node has run for a long time, and what was announced by nodes without a lease.
-- KEYS  fence, nodes, announced, kinds
-- ARGV  epoch, kept_ms, noted_ms, then the kinds to look at
--       how long they are kept, how old the time may be that is noted of those which nodes run
-- USES  clock, versions
-- Returns how many definitions were forgotten
local run, forgotten, changed = run_now(announced), 0, false
for _, node in ipairs(redis.call('HKEYS', announced)) do
  if not redis.call('ZSCORE', nodes, node) then redis.call('HDEL', announced, node) end
end

for at = 4, #ARGV do
  local kind, noted, kept = ARGV[at], false, {}
  local versions = versions_of(redis.call('HGET', kinds, kind))
  for _, version in ipairs(versions) do
    local age = now - version[3]
    if run[kind .. '\n' .. version[1]] and age > tonumber(noted_ms) then version[3], noted, age = now, true, 0 end
    if age <= tonumber(kept_ms) then kept[#kept + 1] = version end
  end
  if #kept == 0 then
    redis.call('HDEL', kinds, kind)
  elseif noted or #kept < #versions then
    redis.call('HSET', kinds, kind, cjson.encode(kept))
  end
  forgotten = forgotten + #versions - #kept
  changed = changed or noted or #kept < #versions
end
if changed then redis.call('HSET', kinds, '', now .. '.' .. epoch) end
return forgotten
