-- Workflows as they stand (with `family` and `progress`), by their ids.
local CELL, PAUSED_AT = 4, 3

local function progress_of(id) return stem .. 'progress:' .. hex(id) end

-- In front of the first write: an error for a key of the wrong type among those of a workflow, or nothing.
local function wrong_flow(id)
  return wrong_type({progress_of(id), stem .. 'graph:' .. hex(id), stem .. 'results:' .. hex(id)})
end

-- Nothing where none of this id goes on.
local function live_head(id)
  local head = redis.call('GETRANGE', progress_of(id), 0, HEAD - 1)
  if #head == HEAD and string.sub(redis.call('HGET', stem .. 'index', id) or '', 1, 2) == 'w:' then return read_head(head) end
end

local function cells_of(id) return redis.call('GETRANGE', progress_of(id), HEAD, -1) end

local function state_of(id, number)
  local at = HEAD + CELL * number
  return redis.call('GETRANGE', progress_of(id), at, at)
end

local function set_state(id, number, letter) redis.call('SETRANGE', progress_of(id), HEAD + CELL * number, letter) end

-- Whether the job of this node may be submitted now.
local function may_release(id, number, generation)
  local head = live_head(id)
  return head and head.stopped == 0 and head.paused == 0 and head.generation == tonumber(generation)
    and state_of(id, number) == 'y'
end
