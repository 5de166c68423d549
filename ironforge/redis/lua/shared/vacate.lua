-- To be called when some have left it: an empty line is no longer known, and without any nothing is watched.
local function vacate(unserved, declined, name)
  if #first_of(declined, kind_of(name), 1) > 0 then return end
  redis.call('ZREM', unserved, name)
  if is_of_version(name) then redis.call('SREM', stem .. 'versionlines', name) end
  if redis.call('ZCARD', unserved) <= 2 then redis.call('DEL', unserved) end
end
