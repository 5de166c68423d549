#!lua flags=allow-oom
-- Takes workflows out of those that are to end which are to wait with that: for a node, for what undoes one, or to be resumed.
-- Whoever ends that wait puts them back.
-- KEYS  fence, index, finishing
-- ARGV  epoch, then per workflow: id, generation, name that what undoes a node now has among the results ('': nothing does)
-- USES  stem, family, progress
-- Returns how many
local held = 0
for at = 2, #ARGV, 3 do
  local id, generation, undoing = unpack(ARGV, at, at + 2)
  local head, waits = redis.pcall('GETRANGE', stem .. 'progress:' .. hex(id), 0, HEAD - 1), nil
  if string.sub(redis.call('HGET', index, id) or '', 1, 2) ~= 'w:' then
    waits = true
  elseif type(head) == 'string' and #head == HEAD then
    head = read_head(head)
    local undoes = undoing ~= '' and redis.pcall('HEXISTS', stem .. 'results:' .. hex(id), undoing) == 0
    waits = head.generation == tonumber(generation) and (head.left > 0 or head.paused ~= 0 or undoes)
  end
  if waits then held = held + redis.call('ZREM', finishing, id) end
end
return held
