#!lua flags=allow-oom
-- Tells parents in this shard of children that have ended in another one, and workflows of nodes. Who has heard it already
-- hears nothing new.
-- KEYS  families, wake, advance
-- ARGV  per child: its parent, its name there, its record as the parent keeps it, what moves its workflow on ('' of a child that
--         is no node)
-- USES  stem, types, clock, family
-- Returns how many of their parents are known
local WIDTH = 4
local function key_of(word, at) return stem .. word .. hex(ARGV[at]) end

local names = {families, wake, advance}
for at = 1, #ARGV, WIDTH do names[#names + 1], names[#names + 2] = key_of('children:', at), key_of('results:', at) end
local wrong = wrong_type(names)
if wrong then return wrong end

local function tell_parent(at, parent, member, record)
  local children = key_of('children:', at)
  redis.call('HDEL', children, member)
  if not redis.call('ZSCORE', families, parent) then return false end
  redis.call('HSET', key_of('results:', at), member, record)
  redis.call('ZADD', wake, now, parent)
  return true
end

local function tell_workflow(at, member, record, item)
  -- Of one that is known how far it is may have been lost, which is found out by this.
  local is_known = redis.call('EXISTS', key_of('progress:', at)) == 1 or redis.call('HEXISTS', stem .. 'index', ARGV[at]) == 1
  if not is_known then return false end
  redis.call('HSET', key_of('results:', at), member, record)
  redis.call('ZADD', advance, now, item)
  return true
end

local told = 0
for at = 1, #ARGV, WIDTH do
  local parent, member, record, item = unpack(ARGV, at, at + WIDTH - 1)
  local is_known = nil
  if item == '' then
    is_known = tell_parent(at, parent, member, record)
  else
    is_known = tell_workflow(at, member, record, item)
  end
  if is_known then told = told + 1 end
end
if told > 0 then redis.call('PUBLISH', stem .. 'signals', 'due:0') end
return told
