#!lua flags=allow-oom
-- Drops up to 500 dead letters that died too long ago.
-- KEYS  fence, index, dead, parked
-- ARGV  epoch, retention_ms
-- USES  stem, clock, family, parts, waits
-- Returns how many
local wrong = wrong_type({stem .. 'families', stem .. 'workflows:dead'})
if wrong then return wrong end
local ids = redis.call('ZRANGE', dead, '-inf', now - tonumber(retention_ms), 'BYSCORE', 'LIMIT', 0, 500)
for _, id in ipairs(ids) do
  redis.call('ZREM', dead, id)
  redis.call('HDEL', parked, id)
  redis.call('HDEL', index, id)
  end_family(id, 0, 1)
  end_journal(id, 0)
  if redis.call('ZREM', stem .. 'workflows:dead', id) == 1 then redis.call('UNLINK', unpack(parts_of(id))) end
end
return #ids
