#!lua flags=no-writes
-- What code of nodes says of schedules, at one moment.
-- KEYS  nodes, roster, announced, schedule_versions
-- ARGV  known
--       what the caller was told before as the moment ('': nothing)
-- USES  clock, versions
-- Returns the moment: the nodes with a lease, and when code was announced last; and unless that is known the kinds that each of
--         these nodes runs (JSON), then of each schedule: name, the definition that counts ('': no node has one), and the one
--         first announced last
local names = redis.call('ZRANGE', nodes, '(' .. now, '+inf', 'BYSCORE')
table.sort(names)
local moment = table.concat(names, ' ') .. ':' .. (redis.call('HGET', schedule_versions, '') or '')
if moment == known or #names == 0 then return {moment, {}} end
local reply, defined = {moment, redis.call('HMGET', announced, unpack(names))}, defined_now('schedules', nodes, roster, now)
local rows = redis.call('HGETALL', schedule_versions)
for at = 1, #rows, 2 do
  local name, versions = rows[at], versions_of(rows[at + 1])
  if versions[1] then
    local n = #reply
    reply[n + 1], reply[n + 2], reply[n + 3] = name, counting(name, versions, defined) or '', versions[1][4]
  end
end
return reply
