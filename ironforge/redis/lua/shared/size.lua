-- The bytes of a key, as the server estimates them.
local function size(key)
  local bytes = redis.pcall("MEMORY", "USAGE", key)
  return type(bytes) == 'number' and bytes or 0
end
