-- Where the lines of keys of limits are.
local function line_of(place, key) return stem .. 'line:' .. place .. ':' .. key end

-- Places that have a line of each of these keys, in the order of the keys.
local function places_of(keys)
  local said, by_words, places = #keys > 0 and redis.call('HMGET', stem .. 'inuse', unpack(keys)) or {}, {}, {}
  for at = 1, #keys do
    local words = said[at] or ''
    if not by_words[words] then
      by_words[words] = {}
      for place in string.gmatch(words, '[^ ]+') do table.insert(by_words[words], place) end
    end
    places[at] = by_words[words]
  end
  return places
end
