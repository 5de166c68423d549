#!lua flags=allow-oom
-- Moves workflows on: what the ends of some of their nodes mean for others, of which those that may start go to their streams.
-- At most 500 nodes are looked at in a call.
-- KEYS  fence, index, parked, advance, finishing, ready, stopping, queues, totals
-- ARGV  epoch
-- USES  stem, types, clock, unlimited, turns, enqueue, family, progress
-- Returns 1 when there is more to do at once, how many nodes started, and how many items it has left to nodes: in `ready`,
--         `stopping` and `finishing`
local wrong = wrong_type(KEYS)
if wrong then return wrong end
local MOST, BYTES = 500, 4 * 1024 * 1024
-- Behind the numbers of nodes are those of what undoes them.
local MOST_NODES = 10000
local NOW = struct.pack('>I8', now)
-- Those with more nodes are not written as a whole for a few of them. A stream that is no stream is looked at again later.
local SMALL, LATER_MS = 64, 1000
-- What is below it is to be done at once, in this order, by whatever clock; behind it is what was put off, and until when.
local PUT_OFF = 1e13
-- By how many bits is shifted what an end makes in the marks of a dependant.
local BEGINS = 0
local SHIFT = {s = 1, b = BEGINS, f = 8, c = 8, k = 64}
local sub, byte, band, bor = string.sub, string.byte, bit.band, bit.bor
local left, bytes, moved = MOST, BYTES, 0
local flows, sound, items = {}, {}, redis.call('ZRANGE', advance, '-inf', '(' .. PUT_OFF, 'BYSCORE', 'LIMIT', 0, MOST)
for _, item in ipairs(redis.call('ZRANGE', advance, PUT_OFF, PUT_OFF + now, 'BYSCORE', 'LIMIT', 0, MOST - #items)) do table.insert(items, item) end

local function flow_of(id)
  local digits = hex(id)
  local key = stem .. 'progress:' .. digits
  local found = redis.pcall('GET', key)
  local is_sound = type(found) == 'string' and is_whole(#found)
  local flow = is_sound and read_head(found) or {is_unread = true}
  flow.is_barred = type(found) == 'table'
  flow.id, flow.digits, flow.key, flow.graph = id, digits, key, stem .. 'graph:' .. digits
  flow.jobs, flow.cells, flow.is_small = {}, found, is_sound and #found <= HEAD + 4 * SMALL
  if not flow.is_small then flow.changed = {} end
  flows[#flows + 1], flows[id] = flow, flow
  return flow
end

local function add(list, first, second)
  local n = #list
  list[n + 1], list[n + 2] = first, second
end

local function cell_at(flow, number)
  local at = HEAD + 4 * number
  return flow.changed and flow.changed[number] or sub(flow.cells, at + 1, at + 4)
end

local function set_cell(flow, number, cell)
  flow.is_changed = true
  if flow.changed then
    flow.changed[number] = cell
    return
  end
  local at = HEAD + 4 * number
  flow.cells = sub(flow.cells, 1, at) .. cell .. sub(flow.cells, at + 5)
end

local function set_state(flow, number, state) set_cell(flow, number, state .. sub(cell_at(flow, number), 2)) end

local pcall_server = redis.pcall
local function field_of(flow, name)
  local found = pcall_server('HGET', flow.graph, name)
  if type(found) == 'table' then flow.is_barred = true end
  return type(found) == 'string' and found
end

local function stop(flow)
  for number, cell in pairs(flow.changed or {}) do
    local at = HEAD + 4 * number
    flow.cells = sub(flow.cells, 1, at) .. cell .. sub(flow.cells, at + 5)
  end
  local cells, ended = stop_cells(sub(flow.cells, HEAD + 1))
  flow.cells, flow.left, flow.stopped = sub(flow.cells, 1, HEAD) .. cells, flow.left - ended, 1
  flow.changed, flow.is_small, flow.stops = nil, true, true
end

-- What it is made of is damaged: it fails, and what runs of it is yet to end.
local function fail(flow, why)
  flow.why, flow.failed = flow.why or why, 1
  if flow.stopped == 0 then stop(flow) end
end

local function is_stream(stream, mark)
  local key = mark == '' and stream or stream .. ':'
  if sound[key] == nil then
    local names = {stem .. 'q:' .. stream}
    if mark ~= '' then names[2], names[3] = stem .. 'fair:' .. stream, stem .. 'turns:' .. stream end
    sound[key] = not wrong_type(names)
  end
  return sound[key]
end

-- It may start. `later` and `again`: what is noted in `ready` and in `advance`.
local later, again = {}, {}
local function start(flow, number)
  local job = flow.paused == 0 and field_of(flow, 'r' .. number)
  if flow.paused == 0 and not job and field_of(flow, 'R' .. number) then
    flow.later = flow.later or {}
    table.insert(flow.later, string.format('%.0f.%.0f', number, flow.generation))
  elseif flow.paused == 0 and not job and not flow.is_barred then
    fail(flow, 'the job of a node was lost')
    return 'c'
  end
  if not job then return 'y' end
  local streams, marks, behind = struct.unpack('>I2I2I4', job)
  local from = 9 + streams + marks
  local stream, mark = sub(job, 9, 8 + streams), sub(job, 9 + streams, from - 1)
  if not is_stream(stream, mark) then
    flow.again = flow.again or {}
    table.insert(flow.again, string.format('g%.0f.%.0f', number, flow.generation))
    return 'y'
  end
  behind = from + 15 + behind
  local record = sub(job, from + 16, behind) .. NOW .. sub(job, behind + 9)
  bytes = bytes - #record
  flow.jobs[#flow.jobs + 1] = {stream = stream, mark = mark, id = sub(job, from, from + 15), record = record}
  return 'r'
end

-- A node that waited for this one, by its program.
local function tell_dependant(flow, number, rule, shift, skipped)
  local cell = cell_at(flow, number)
  local state, needs, had = struct.unpack('>c1I2B', cell)
  -- What begins is told to those that wait for nothing else, and only to these.
  if shift == BEGINS and state == 'y' then set_state(flow, number, start(flow, number)) end
  if shift == BEGINS or state ~= 'p' then return end
  had, needs = bor(had, band(math.floor(rule / shift), 7)), math.max(0, needs - 1)
  if needs == 0 then
    local needed = band(math.floor(rule / 4096), 7)
    if band(had, band(math.floor(rule / 512), 7)) ~= 0 or band(had, needed) ~= needed then
      skipped[#skipped + 1] = number
    else
      state = start(flow, number)
    end
  end
  set_cell(flow, number, state .. struct.pack('>I2B', needs, had))
end

-- Whether it ends by this, as its state says, and not one that has ended so before and whose dependants are not all told:
-- then it goes on with the one behind these, perhaps the first. Also whether it has not ended so before.
local function begins_at(flow, letter, number, field)
  local state = letter == 'b' and 'b' or sub(cell_at(flow, number), 1, 1)
  if letter == 'k' and state == 'p' or letter ~= 'k' and letter ~= 'b' and state == 'r' then return 0, true end
  if state ~= letter then return end
  local cursor = tonumber(field_of(flow, 'c' .. field))
  return cursor or letter == 'b' and 0, not cursor
end

local function note_end(flow, letter, number, program)
  set_state(flow, number, letter)
  flow.left = flow.left - 1
  if not program then return end
  local on_failure, compensates = byte(program, 1, 2)
  if letter == 's' and compensates == 1 then
    if not flow.order and wrong_type({stem .. 'order:' .. flow.digits}) then flow.is_barred = true end
    flow.order = flow.order or {}
    table.insert(flow.order, number)
  end
  if letter ~= 'f' and letter ~= 'c' or on_failure == 2 then return end
  flow.failed = 1
  if on_failure == 1 and flow.stopped == 0 then stop(flow) end
end

-- Nodes that are skipped by this are worked off as well. Whether all is done; else the item stays.
local function note_cursor(flow, field, cursor)
  flow.cursors = flow.cursors or {}
  flow.cursors[field] = cursor
end

local function work_off(flow, letter, number)
  local field = letter == 'b' and 'b' or tostring(number)
  if letter == 'g' then
    if flow.stopped == 0 and flow.paused == 0 and sub(cell_at(flow, number), 1, 1) == 'y' then
      left = left - 1
      set_state(flow, number, start(flow, number))
    end
    return true
  end
  local from, is_new = begins_at(flow, letter, number, field)
  if not from then return true end
  local program = field_of(flow, field)
  program = program and #program >= 2 and program
  if flow.is_barred then return true end
  if letter ~= 'b' and is_new then note_end(flow, letter, number, program) end
  if not program and (is_new or flow.left > 0) then fail(flow, 'what follows from the end of a node was lost') end
  flow.is_changed = true
  left = left - 1
  local skipped, shift, is_through = {}, SHIFT[letter], true
  for at = 3 + 4 * from, flow.stopped == 0 and program and #program or 0, 4 do
    if left <= 0 or bytes <= 0 then
      note_cursor(flow, field, (at - 3) / 4)
      is_through = false
      break
    end
    left = left - 1
    local other, rule = struct.unpack('>I2I2', program, at)
    tell_dependant(flow, other, rule, shift, skipped)
  end
  if not is_new and is_through then note_cursor(flow, field, false) end
  for _, other in ipairs(skipped) do
    if left <= 0 or not work_off(flow, 'k', other) then
      flow.again = flow.again or {}
      table.insert(flow.again, string.format('k%.0f.%.0f', other, flow.generation))
    end
  end
  return is_through
end

local done, over, NONE = {}, {}, {}
for _, item in ipairs(items) do
  if left <= 0 or bytes <= 0 then break end
  local letter, number, generation = string.match(item, '^([sfckbg])(%d+)%.(%d+)$', 17)
  local id = letter and sub(item, 1, 16)
  number = tonumber(number)
  local flow = id and (flows[id] or flow_of(id))
  local is_known = flow and not flow.is_unread and tonumber(generation) == flow.generation
    and (number >= MOST_NODES or HEAD + 4 * number < #flow.cells)
  if is_known and number >= MOST_NODES then
    -- What undoes a node has ended.
    add(over, now, id)
    is_known = false
  end
  if not is_known or work_off(flow, letter, number) then add(done, item, flow or NONE) end
end

local fields, streams, stops = {}, {}, {}

-- What can be known of how far it is, nodes find out. One that nobody knows any more was told of an end too late.
local function leave(flow)
  if string.sub(redis.call('HGET', index, flow.id) or '', 1, 2) == 'w:' then
    add(over, now, flow.id)
  elseif not flow.cells then
    redis.call('UNLINK', stem .. 'results:' .. flow.digits)
  end
end

local function put(flow, job)
  local stream, where = stem .. 'q:' .. job.stream, nil
  if job.mark == '' then
    where = 'q:' .. job.stream .. ':' .. redis.call('XADD', stream, '*', 'j', job.record)
  else
    where = enqueue(stream, stem .. 'fair:' .. job.stream, stem .. 'turns:' .. job.stream, job.id, job.record, job.mark)
  end
  add(fields, job.id, where)
  streams[job.stream] = true
  moved = moved + 1
end

local function put_off(flow)
  for _, item in ipairs(flow.later or {}) do add(later, now, flow.id .. item) end
  for _, item in ipairs(flow.again or {}) do
    add(again, byte(item) == 103 and PUT_OFF + now + LATER_MS or now, flow.id .. item)
  end
end

local function write(flow)
  if flow.is_small then
    -- Of one that has ended it goes with the rest.
    redis.call('SET', flow.key, head_of(flow) .. sub(flow.cells, HEAD + 1), 'KEEPTTL')
  else
    redis.call('SETRANGE', flow.key, 0, head_of(flow))
    for number, cell in pairs(flow.changed) do redis.call('SETRANGE', flow.key, HEAD + 4 * number, cell) end
  end
  if flow.order then redis.call('RPUSH', stem .. 'order:' .. flow.digits, unpack(flow.order)) end
  for _, job in ipairs(flow.jobs) do put(flow, job) end
  if flow.later or flow.again then put_off(flow) end
  if flow.why then redis.call('HSET', flow.graph, 'w', flow.why) end
  if flow.left == 0 then add(over, now, flow.id) end
  if flow.stops and flow.left > 0 then add(stops, now, flow.id .. 'f') end
end

for _, flow in ipairs(flows) do
  if flow.is_barred then
    flow.cursors = nil
  elseif flow.is_unread then
    leave(flow)
  elseif flow.is_changed then
    write(flow)
  end
  for field, cursor in pairs(flow.cursors or NONE) do
    if cursor then redis.call('HSET', flow.graph, 'c' .. field, cursor) else redis.call('HDEL', flow.graph, 'c' .. field) end
  end
end
-- Of one with a key of the wrong type nothing was written: it goes on once that is out of the way.
local worked_off = {}
for at = 1, #done, 2 do
  if done[at + 1].is_barred then add(again, PUT_OFF + now + LATER_MS, done[at]) else worked_off[#worked_off + 1] = done[at] end
end
enqueued(parked)
in_parts('HSET', index, fields)
in_parts('ZREM', advance, worked_off)
in_parts('ZADD', advance, again)
in_parts('ZADD', ready, later)
in_parts('ZADD', stopping, stops)
in_parts('ZADD', finishing, over)
for stream in pairs(streams) do redis.call('SADD', queues, string.match(stream, '^[^:]*')) end
if moved > 0 then redis.call('HINCRBY', totals, 'submitted', moved) end
return {(left <= 0 or bytes <= 0 or #items == MOST) and 1 or 0, moved, (#over + #later + #stops) / 2}
