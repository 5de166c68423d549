-- Ends of nodes that an older version has told their workflow as a job is told of its children (with `family`, `parent` and
-- `progress`): they are in `results`, and nothing in `advance` says so.
-- Adds to `items` what is to be there. Returns how many bytes were read for it, and whether that is all: at most about `most`,
-- and 200 ends.
local ENDS = 200

local function is_heard(id, member)
  for _, letter in pairs(LETTERS) do
    if redis.call('ZSCORE', stem .. 'advance', id .. letter .. string.sub(member, 2)) then return true end
  end
end

local function hear(id, now, most, items)
  local digits, read, till = hex(id), 0, #items + 2 * ENDS
  local found, results = redis.pcall('GET', stem .. 'progress:' .. digits), stem .. 'results:' .. digits
  if type(found) ~= 'string' or #found < HEAD or redis.call('TYPE', results).ok ~= 'hash' then return 0, true end
  local generation, at = read_head(found).generation, HEAD
  while true do
    at = string.find(found, 'r', at + 1, true)
    if not at or read >= most or #items >= till then return read, not at end
    local member = (at - HEAD) % 4 == 1 and string.format('\n%.0f.%.0f', (at - HEAD - 1) / 4, generation)
    if member and redis.call('HEXISTS', results, member) == 1 and not is_heard(id, member) then
      local ended = redis.call('HGET', results, member)
      local is_sound, job = pcall(values, ended, 4, 15)
      items[#items + 1] = now
      items[#items + 1] = item_of(id, member, is_sound and text_of(job[15]))
      read = read + #ended
    end
  end
end
