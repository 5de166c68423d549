-- The definitions that are kept of a kind, the one announced last first: each {digest, announced, seen, definition}, with
-- the times when it was announced and when a node with it was seen (ms). Without what somebody else wrote there.
local function versions_of(stored)
  local known, rows = pcall(cjson.decode, stored or '')
  local versions = {}
  for _, row in ipairs(known and type(rows) == 'table' and rows or {}) do
    if type(row) == 'table' and type(row[1]) == 'string' and type(row[3]) == 'number' then versions[#versions + 1] = row end
  end
  return versions
end
