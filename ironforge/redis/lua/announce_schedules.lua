#!lua
-- Writes down what code says of schedules. It counts from when a node joins that has it.
-- KEYS  schedule_versions, nodes, roster
-- ARGV  versions_kept, then of each schedule: name, digest, definition
-- USES  clock, versions
local defined = defined_now('schedules', nodes, roster, now)
for at = 2, #ARGV, 3 do
  local name, digest, definition = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local versions = versions_of(redis.call('HGET', schedule_versions, name))
  add_version(versions, digest, definition, now, tonumber(versions_kept), function(one)
    return is_counted(name, one, defined)
  end)
  redis.call('HSET', schedule_versions, name, cjson.encode(versions))
end
redis.call('HSET', schedule_versions, '', now)
return 1
