#!lua flags=no-writes
-- Reads jobs that have not ended where they are, from one place on and through all that follow, at one moment: one that
-- moves meanwhile is neither missed nor seen twice.
-- KEYS  queues, scheduled, dead, parked
-- ARGV  left, bytes, wanted, places, kind, after, position, offset, endings, then as many endings of streams, then those of
--         lines
--       left, bytes: at most so many jobs and bytes; wanted: a queue ('': all); places to look in: any of `streams lines
--         waiting scheduled dead`; kind (number of a kind of place), after (its name), position, offset: where to go on
-- USES  stem, clock, present
-- Returns the time, 1 when there is nothing behind, then per job: number of the kind of place, name, position and offset
--         to go on from, record, row of the pending list or score
left, bytes, kind, offset = tonumber(left), tonumber(bytes), tonumber(kind), tonumber(offset)
local last = 9 + tonumber(endings)
local rows = {}

local function row(...)
  for _, word in ipairs({...}) do rows[#rows + 1] = word end
  left, bytes = left - 1, bytes - #rows[#rows - 1]
end

local function whole() return left > 0 and bytes > 0 end

local function stream(name, from)
  local entries = redis.call('XRANGE', stem .. 'q:' .. name, from == '' and '-' or from, '+', 'COUNT', left)
  if #entries == 0 then return end
  local pending, runs = redis.pcall('XPENDING', stem .. 'q:' .. name, 'nodes', entries[1][1], entries[#entries][1], left), {}
  for _, one in ipairs(pending.err and {} or pending) do runs[one[1]] = one end
  for _, entry in ipairs(entries) do
    row(0, name, '(' .. entry[1], 0, entry[2][2], runs[entry[1]] or false)
    if not whole() then return end
  end
end

local function shelf(number, key, name, from, skipped)
  local order = number == 3 and {'REV', from == '' and '+inf' or from, '-inf'} or {false, from == '' and '-inf' or from, '+inf'}
  local words = {'ZRANGE', key, order[2], order[3], 'BYSCORE'}
  if order[1] then words[6] = order[1] end
  for _, word in ipairs({'LIMIT', skipped, left, 'WITHSCORES'}) do words[#words + 1] = word end
  local found = redis.call(unpack(words))
  if #found == 0 then return end
  local ids = {}
  for at = 1, #found, 2 do ids[#ids + 1] = string.sub(found[at], -16) end
  local records = redis.call('HMGET', parked, unpack(ids))
  for at, record in ipairs(records) do
    local score = found[2 * at]
    skipped = score == from and skipped + 1 or 1
    from = score
    row(number, name, score, skipped, record or '', score)
    if not whole() then return end
  end
end

local function look(number, name, from, skipped)
  if number == 0 then return stream(name, from) end
  shelf(number, number == 1 and stem .. name or number == 2 and scheduled or dead, name, from, skipped)
end

local all = {}
local function add(number, word, names)
  if string.find(places, word, 1, true) then
    table.sort(names)
    for _, name in ipairs(names) do
      if number > kind or number == kind and name >= after then all[#all + 1] = {number, name} end
    end
  end
end
local streams, lines = {}, {}
for _, queue in ipairs(redis.call('SMEMBERS', queues)) do
  -- What is no queue's name was put there by somebody else.
  if (wanted == '' or queue == wanted) and string.find(queue, '^%w[%w._-]*$') then
    for at = 10, present(stem .. 'q:', queue, 10, last) and last or 0 do streams[#streams + 1] = queue .. ARGV[at] end
    for _, word in ipairs({'fair:', 'behind:', 'declined:'}) do
      for at = last + 1, present(stem .. word, queue, last + 1, #ARGV) and #ARGV or 0 do
        lines[#lines + 1] = word .. queue .. ARGV[at]
      end
    end
  end
end
add(0, 'streams', streams)
add(1, 'lines', lines)
-- Behind those in the order of their names, as all that goes on from one needs it.
add(1, 'waiting', {'waiting:children', 'waiting:event', 'waiting:sleep'})
add(2, 'scheduled', {''})
add(3, 'dead', {''})
for _, place in ipairs(all) do
  local here = place[1] == kind and place[2] == after
  look(place[1], place[2], here and position or '', here and offset or 0)
  if not whole() then break end
end
return {now, whole() and 1 or 0, rows}
