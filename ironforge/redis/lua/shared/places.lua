-- Where the lines of keys of limits are.
local function line_of(place, key) return stem .. 'line:' .. place .. ':' .. key end

-- Places that have a line of each of these keys, in the order of the keys.
local function places_of(keys)
  local said, places = #keys > 0 and redis.call('HMGET', stem .. 'inuse', unpack(keys)) or {}, {}
  for at = 1, #keys do
    places[at] = {}
    for place in string.gmatch(said[at] or '', '[^ ]+') do table.insert(places[at], place) end
  end
  return places
end
