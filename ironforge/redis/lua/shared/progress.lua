-- How far a workflow is, as its key `progress` has it: a head, and 4 bytes for each node.
local HEAD = 7
local STOPPED = {f = 1, c = 2}

-- Whether so many bytes are a head and whole cells.
local function is_whole(size) return size >= HEAD and (size - HEAD) % 4 == 0 end

local function read_head(progress)
  local left, stopped, paused, generation, failed = struct.unpack('>I2BBI2B', progress)
  return {left = left, stopped = stopped, paused = paused, generation = generation, failed = failed}
end

local function head_of(flow) return struct.pack('>I2BBI2B', flow.left, flow.stopped, flow.paused, flow.generation, flow.failed) end

-- Nothing of it starts any more: what has not started has ended now. Returns the cells then, and how many nodes that were.
local function stop_cells(cells)
  local ended = 0
  local function stop(state)
    if state ~= 'p' and state ~= 'y' then return end
    ended = ended + 1
    return 'c\0\0\0'
  end
  return string.gsub(cells, '(.)...', stop), ended
end
