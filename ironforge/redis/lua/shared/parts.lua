-- What a workflow is made of (with `family`): the keys that live as long as its record.
local function parts_of(id)
  local digits = hex(id)
  return {stem .. 'graph:' .. digits, stem .. 'progress:' .. digits, stem .. 'order:' .. digits, stem .. 'results:' .. digits}
end
