-- An event that nothing keeps any more: it stays until its own time, which may be over.
local function expire_event(event, till, now)
  if tonumber(till) > now then
    redis.call('PEXPIRE', event, string.format('%.0f', till - now))
  else
    redis.call('DEL', event)
  end
end
