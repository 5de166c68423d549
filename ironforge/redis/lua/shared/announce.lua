-- Tells all nodes of a due time, if nothing is due before it.
local function announce(scheduled, channel, due, now)
  local earliest = tonumber(redis.call('ZRANGE', scheduled, 0, 0, 'WITHSCORES')[2])
  if earliest == due then redis.call('PUBLISH', channel, 'due:' .. (due - now)) end
end
