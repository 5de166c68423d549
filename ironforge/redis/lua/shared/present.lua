-- Shared by scripts that look through all queues: most places of most queues are empty, and one question tells it of all
-- that belong to a queue.
local function present(stem, queue, first, last)
  local keys = {}
  for at = first, last do keys[#keys + 1] = stem .. queue .. ARGV[at] end
  return redis.call('EXISTS', unpack(keys)) > 0
end
