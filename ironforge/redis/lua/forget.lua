#!lua flags=allow-oom
-- Forgets names of queues that nobody uses: no job waits, runs or is scheduled, no node serves them, nobody paused
-- them. Their empty streams go, with their groups, and nothing remembers that there were any: for whoever uses such a
-- queue next it is new. The dead letter keeps its jobs: a retry brings the name back.
-- KEYS  queues, groups, paused, delayed, nodes, roster
-- ARGV  cursor, most, endings, then as many endings of streams, then those of lines (`:2` of the zsets fair, turns and declined)
--       cursor of the call before ('0': from the start), most names to look at, roughly
-- USES  stem
-- Returns the next cursor ('0': all were looked at), how many names were forgotten
local last = 3 + tonumber(endings)
local served = {}
for _, node in ipairs(redis.call('ZRANGE', nodes, 0, -1)) do
  local known, about = pcall(cjson.decode, redis.call('HGET', roster, node) or '')
  -- A node that did not say what it serves may serve any of them.
  if not known or type(about) ~= 'table' or type(about.queues) ~= 'table' then return {'0', 0} end
  for _, queue in ipairs(about.queues) do served[queue] = true end
end

local function used(name)
  if served[name] or redis.call('SISMEMBER', paused, name) == 1 or redis.call('HEXISTS', delayed, name) == 1 then
    return true
  end
  for at = 4, last do
    local stream = stem .. 'q:' .. name .. ARGV[at]
    if redis.call('XLEN', stream) > 0 then return true end
    local pending = redis.pcall('XPENDING', stream, 'nodes')
    if not pending.err and pending[1] > 0 then return true end
  end
  for at = last + 1, #ARGV do
    local waits = {'fair:', 'behind:', 'declined:'}
    for number, word in ipairs(waits) do waits[number] = stem .. word .. name .. ARGV[at] end
    if redis.call('EXISTS', unpack(waits)) > 0 or wrong_type({stem .. 'turns:' .. name .. ARGV[at]}) then
      return true
    end
  end
  return false
end

local found = redis.call('SSCAN', queues, cursor, 'COUNT', most)
local forgotten = 0
for _, name in ipairs(found[2]) do
  -- What is no queue's name was put there by somebody else.
  if string.find(name, '^%w[%w._-]*$') and not used(name) then
    for at = 4, last do
      redis.call('DEL', stem .. 'q:' .. name .. ARGV[at])
      redis.call('SREM', groups, name .. ARGV[at])
    end
    for at = last + 1, #ARGV do redis.call('DEL', stem .. 'turns:' .. name .. ARGV[at]) end
    redis.call('SREM', queues, name)
    forgotten = forgotten + 1
  end
end
return {found[1], forgotten}
