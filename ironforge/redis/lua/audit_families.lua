#!lua flags=allow-oom
-- Looks after some jobs that have children: one that has ended and was not taken leave of, and one that waits for none of
-- them any more, which nobody would wake.
-- KEYS  fence, index, families, wake, waiting
-- ARGV  epoch, sample, then ids of parents
--       sample: how many open children of each to name
-- USES  stem, clock, family, waits
-- Returns how many were lost, then for each parent: its id, and of some of its open children name and id by turns
local lost, reply = 0, {}
for at = 3, #ARGV do
  local parent = ARGV[at]
  local score, location = tonumber(redis.call('ZSCORE', families, parent)), redis.call('HGET', index, parent)
  local children = stem .. 'children:' .. hex(parent)
  -- One that cannot be read lies in the quarantine, and may come back.
  if score == 0 and not location and redis.pcall('XLEN', stem .. 'quarantine') == 0 then
    redis.call('ZADD', families, -1, parent)
    lost = lost + 1
  elseif score == 0 and redis.call('ZSCORE', waiting, parent) and open_children(parent) <= wait_of(parent).low
    and not redis.call('ZSCORE', wake, parent) then
    redis.call('ZADD', wake, now, parent)
    lost = lost + 1
  elseif score == 0 and location then
    local open = redis.pcall('HRANDFIELD', children, sample, 'WITHVALUES')
    if #open > 0 then
      reply[#reply + 1] = parent
      reply[#reply + 1] = open
    end
  end
end
return {lost, unpack(reply)}
