#!lua flags=allow-oom
-- Looks after workflows that nothing would move on: what was to move them is put back. Nodes find out how far one is that cannot be read.
-- KEYS  fence, index, advance, finishing, waiting
-- ARGV  epoch, then looks as `stranded` has them
-- USES  stem, types, clock, unique, limits, turns, family, parent, progress, flow, go_on, stranded
-- Returns for each look: 0, nothing is missing; 1, it was mended; 2, the job is nowhere; 3, its cells are to be made anew
local wrong = wrong_type(KEYS)
if wrong then return wrong end

local function mend(id, digits, generation, member, missing, item)
  if missing == 'job' then return 2 end
  if missing == 'count' then return 3 end
  if missing == 'turn' then
    go_on(id, generation, now)
    return 1
  end
  local is_known = missing ~= 'all' or string.sub(redis.call('HGET', index, id) or '', 1, 2) == 'w:'
  if not is_known then
    redis.call('ZREM', waiting, id)
  elseif missing == 'finish' or missing == 'all' then
    redis.call('ZADD', finishing, now, id)
  elseif missing == 'ended' then
    local is_sound, found = pcall(values, redis.call('HGET', stem .. 'results:' .. digits, member), 4, 15)
    redis.call('ZADD', advance, now, item_of(id, member, is_sound and text_of(found[15])))
  else
    redis.call('ZADD', advance, now, item)
  end
  return 1
end

local reply = {}
for at = 2, #ARGV, LOOK do
  local missing, item = missing_of(unpack(ARGV, at, at + LOOK - 1))
  reply[#reply + 1] = missing and mend(ARGV[at], ARGV[at + 1], ARGV[at + 3], ARGV[at + 5], missing, item) or 0
end
return reply
