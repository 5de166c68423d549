-- In front of every script that writes: one that fails half-way stays half done, so a key of the wrong type is found first.
for _, key in ipairs(KEYS) do
  local found, wanted = redis.call('TYPE', key).ok, types[string.match(key, '}:(%a+)')]
  if found ~= wanted and found ~= 'none' then
    return redis.error_reply('WRONGTYPE ' .. key .. ' is a ' .. found .. ' and must be a ' .. wanted)
  end
end
