-- A workflow that was paused goes on (with `family`, `parts`, `progress` and `flow`): what was ready meanwhile may start now.
local function go_on(id, generation, at_ms)
  redis.call('SETRANGE', progress_of(id), PAUSED_AT, '\0')
  local cells, items = cells_of(id), {}
  for at = 1, #cells, CELL do
    if string.sub(cells, at, at) == 'y' then
      items[#items + 1] = at_ms
      items[#items + 1] = id .. string.format('g%.0f.%.0f', (at - 1) / CELL, generation)
    end
  end
  in_parts('ZADD', stem .. 'advance', items)
end
