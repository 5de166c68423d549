-- What a workflow is made of (with `family`): the keys that live as long as its record.
local function parts_of(id)
  local names = {}
  for number, part in ipairs({'graph:', 'progress:', 'order:', 'results:'}) do names[number] = stem .. part .. hex(id) end
  return names
end
