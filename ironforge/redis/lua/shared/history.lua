-- What became of ticks, as the list `history` has it.
local function note(history, row)
  if redis.call('LPUSH', history, row) > 100 then redis.call('LTRIM', history, 0, 99) end
end

-- Ticks that started nothing, `<first>:<last>:<ticks>:<reason>`. Many in a row for the same reason are one entry.
local function note_skipped(history, words)
  local first, last, ticks, reason = string.match(words, '^(%d+):(%d+):(%d+):(.*)$')
  local newest = redis.call('LINDEX', history, 0) or ''
  local since, till, before, why = string.match(newest, '^%-(%d+):(%d+):(%d+):(.*)$')
  if why == reason then
    -- A run out of turn is refused at whatever time it is, which may be put back, or before a tick that fires late.
    if tonumber(till) > tonumber(last) then last = till end
    if tonumber(since) > tonumber(first) then since = first end
    redis.call('LSET', history, 0, string.format('-%s:%s:%.0f:%s', since, last, ticks + before, reason))
  else
    note(history, '-' .. words)
  end
end
