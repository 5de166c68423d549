-- The definitions that are kept of a kind, a limit or a schedule, the one first announced last in front: each {digest,
-- announced, seen, definition}, with the times when it was first announced and when it was last seen, as a node came with it
-- (ms). What is none of these is left out.
local function versions_of(stored)
  local known, rows = pcall(cjson.decode, stored or '')
  local versions = {}
  for _, row in ipairs(known and type(rows) == 'table' and rows or {}) do
    if type(row) == 'table' and type(row[1]) == 'string' and type(row[3]) == 'number' then versions[#versions + 1] = row end
  end
  return versions
end

-- Adds a definition. One that is known keeps its place, so a node of the old version that starts again announces nothing
-- newer. Of more than `most` the oldest goes that is not in use: else trying out some new ones would drive out what most
-- nodes run.
local function add_version(versions, digest, definition, now, most, is_in_use)
  local is_known = false
  for _, version in ipairs(versions) do
    if version[1] == digest then is_known, version[3] = true, now end
  end
  if not is_known then table.insert(versions, 1, {digest, now, now, definition}) end
  while #versions > most do
    local place = #versions
    while place > 1 and is_in_use(versions[place][1]) do place = place - 1 end
    table.remove(versions, place > 1 and place or #versions)
  end
end

-- What nodes announced, each a table of digests by name: name and digest, with a line break between.
local function in_use_by(announced)
  local used = {}
  for _, digests in ipairs(announced) do
    for name, digest in pairs(type(digests) == 'table' and digests or {}) do
      if type(digest) == 'string' then used[name .. '\n' .. digest] = true end
    end
  end
  return used
end

local function decoded(texts)
  local found = {}
  for _, text in ipairs(texts) do
    local known, value = pcall(cjson.decode, text or '')
    found[#found + 1] = known and type(value) == 'table' and value or {}
  end
  return found
end

-- The definitions of kinds that nodes run: kind and digest, with a line break between.
local function run_now(announced) return in_use_by(decoded(redis.call('HVALS', announced))) end

-- The definitions of `what`, limits or schedules, that code of nodes with a lease has: name and digest, with a line break
-- between.
local function defined_now(what, nodes, roster, now)
  local names, said = redis.call('ZRANGE', nodes, '(' .. now, '+inf', 'BYSCORE'), {}
  if #names == 0 then return {} end
  for _, about in ipairs(decoded(redis.call('HMGET', roster, unpack(names)))) do said[#said + 1] = about[what] or {} end
  return in_use_by(said)
end

-- An operator's has no digest.
local function is_counted(name, digest, defined) return digest == '' or defined[name .. '\n' .. digest] end

-- Of these definitions the one that counts, encoded; nil: no node has any of them, and none is an operator's.
local function counting(name, versions, defined)
  for _, version in ipairs(versions) do
    if is_counted(name, version[1], defined) then return version[4] end
  end
end
