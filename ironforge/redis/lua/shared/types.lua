-- A script that fails half-way stays half done, so a key of the wrong type is found in front of the first write: an error
-- for the first of these keys that has another type than it must have, or nothing.
local function wrong_type(keys)
  for _, key in ipairs(keys) do
    local found, _, at = redis.call('TYPE', key).ok, string.find(types, string.match(key, '}(:%a+)') .. '=', 1, true)
    local wanted = string.match(types, '^%a+', at + 1)
    if found ~= wanted and found ~= 'none' then
      return redis.error_reply('WRONGTYPE ' .. key .. ' is a ' .. found .. ' and must be a ' .. wanted)
    end
  end
end
