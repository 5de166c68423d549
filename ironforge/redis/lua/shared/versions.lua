-- The definitions that are kept of a kind, the one first announced last in front: each {digest, announced, seen,
-- definition}, with the times when it was first announced and when a node with it was last seen (ms). Without what somebody else wrote there.
local function versions_of(stored)
  local known, rows = pcall(cjson.decode, stored or '')
  local versions = {}
  for _, row in ipairs(known and type(rows) == 'table' and rows or {}) do
    if type(row) == 'table' and type(row[1]) == 'string' and type(row[3]) == 'number' then versions[#versions + 1] = row end
  end
  return versions
end

-- The definitions that nodes run: kind and digest, with a line break between.
local function run_now(announced)
  local run = {}
  for _, said in ipairs(redis.call('HVALS', announced)) do
    local known, digests = pcall(cjson.decode, said)
    for kind, digest in pairs(known and type(digests) == 'table' and digests or {}) do
      if type(digest) == 'string' then run[kind .. '\n' .. digest] = true end
    end
  end
  return run
end
