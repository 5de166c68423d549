-- Shared by scripts that know the lines of kinds: `<queue>:<priority>:<kind>`, each a part of one zset `declined`. In one of
-- jobs that stay with a version `@` and that stand behind the kind.
local function kind_of(name) return string.match(name, '^[^:]*:%d:(.*)$') end

local function is_of_version(name) return string.find(name, '@', 1, true) ~= nil end

-- The first of its members, at most so many.
local function first_of(declined, kind, most)
  return redis.call('ZRANGE', declined, '[' .. kind .. '\n', '(' .. kind .. '\11', 'BYLEX', 'LIMIT', 0, most)
end

-- Of a declined job as the index has it, behind its line: what it uses of limits ('' when it uses none).
local function mark_of_declined(location) return string.match(location or '', '^k:[^\n]*\n(.*)$') or '' end
