-- Jobs that wait (with `family`), as the heads of their journals say: `<fence> <sleep, event or children> <event>\n<entry>`.
-- One whose journal is no hash is `broken`.
-- In the place of an event those that submit more children have how many may be open when they go on.
local function journal_of(id) return stem .. 'steps:' .. hex(id) end

local function wait_of(id)
  local journal = journal_of(id)
  local head = redis.pcall('HGET', journal, '')
  local is_broken = type(head) == 'table'
  local fence, what, event, entry = string.match(not is_broken and head or '', '^(%d+) (%a+) ([^\n]*)\n(.*)$')
  local low = what == 'children' and tonumber(event) or 0
  if what == 'children' then event = '' end
  return {journal = journal, fence = fence or '0', what = what or '', event = event or '', entry = entry,
    low = low, broken = is_broken}
end

-- In front of the first write: an error for a key of the wrong type among those of a wait, or nothing.
local function wrong_wait(wait)
  local names = {stem .. 'waiting:sleep', stem .. 'waiting:event', stem .. 'waiting:children'}
  if wait.event ~= '' then names[4] = stem .. 'eventwaiters:' .. wait.event end
  return wrong_type(names)
end

-- It waits no longer, whatever comes of it.
local function end_wait(id, wait)
  for _, what in ipairs({'sleep', 'event', 'children'}) do redis.call('ZREM', stem .. 'waiting:' .. what, id) end
  if wait.event ~= '' then redis.call('SREM', stem .. 'eventwaiters:' .. wait.event, id) end
end

-- Of a job that ends, with or without one: it expires with its record, which stays in this bucket for `seconds` (0: nowhere).
local function end_journal(id, seconds, bucket)
  if tonumber(seconds) == 0 then
    redis.call('UNLINK', journal_of(id))
  elseif redis.call('EXPIRE', journal_of(id), seconds) == 1 then
    local journals = stem .. 'journals:' .. string.match(bucket, '}:(.*)$')
    redis.call('SADD', journals, id)
    redis.call('EXPIRE', journals, seconds, 'NX')
    redis.call('EXPIRE', journals, seconds, 'GT')
  end
end
