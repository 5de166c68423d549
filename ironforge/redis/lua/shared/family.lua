-- Jobs that have children.
local DIGITS = '%02x%02x%02x%02x%02x%02x%02x%02x%02x%02x%02x%02x%02x%02x%02x%02x'
-- What is no id is somebody else's.
local function hex(id)
  if #id == 16 then return string.format(DIGITS, string.byte(id, 1, 16)) end
  return (string.gsub(id, '.', function(byte) return string.format('%02x', string.byte(byte)) end))
end

-- What is of the wrong type says of none that it has ended.
local function open_children(id)
  local open = redis.pcall('HLEN', stem .. 'children:' .. hex(id))
  return type(open) == 'number' and open or math.huge
end

local function id_text(id)
  local a, b, c, d, e = string.match(hex(id), '^(........)(....)(....)(....)(.*)$')
  return table.concat({a, b, c, d, e}, '-')
end

-- A job that may be a parent ends: what its children told it stays for `seconds` (0: it goes), and what is left of them is
-- still to be seen to.
local function end_family(id, seconds, expiry)
  if not redis.call('ZSCORE', stem .. 'families', id) then return end
  local results = stem .. 'results:' .. hex(id)
  if tonumber(seconds) > 0 then redis.call('EXPIRE', results, seconds) else redis.call('UNLINK', results) end
  redis.call('ZADD', stem .. 'families', string.format('%.0f', -math.max(1, tonumber(expiry))), id)
  redis.call('PUBLISH', stem .. 'signals', 'due:0')
end

-- A job that is in no index any more was told of a child: where it was taken leave of before, what came too late goes.
local function forget_family(id)
  if redis.call('ZSCORE', stem .. 'families', id) then return end
  redis.call('UNLINK', stem .. 'results:' .. hex(id))
  if redis.call('EXISTS', stem .. 'children:' .. hex(id)) == 1 then redis.call('ZADD', stem .. 'families', -1, id) end
end

-- A dead job comes back. Children of its former life that are still open are no more of its own: they are seen to under an id
-- that nobody has. `record`: its new one, which it has never had before.
local function leave_children(id, record)
  local families, children = stem .. 'families', stem .. 'children:' .. hex(id)
  if not redis.call('ZSCORE', families, id) then return end
  if redis.call('EXISTS', children) == 1 then
    local other = string.sub(redis.sha1hex(record), 1, 32)
    redis.call('RENAME', children, stem .. 'children:' .. other)
    local raw = string.gsub(other, '..', function(digits) return string.char(tonumber(digits, 16)) end)
    redis.call('ZADD', families, -1, raw)
  end
  redis.call('ZADD', families, 0, id)
end
