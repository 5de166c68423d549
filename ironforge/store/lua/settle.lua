#!lua flags=allow-oom
-- Runs the commands of a settlement where MULTI cannot: when memory is full, for work must be able to leave a full
-- server; and after a lost answer, for only here the batch can be seen to have been settled already. It was settled as
-- a whole or not at all, so when nothing of it is pending any more, nothing is counted again.
-- KEYS  fence, then every key that the commands touch
-- ARGV  epoch, then per command: number of its words, its words; XACK comes before what it is counted by (HINCRBY)
-- Returns how many entries were pending; as MULTI does, it runs the commands behind one that fails
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return redis.error_reply('STALE the fence has moved') end
local acknowledged, failed = 0, nil
local at = 2
while at < #ARGV do
  local words, name = tonumber(ARGV[at]), ARGV[at + 1]
  if name ~= 'HINCRBY' or acknowledged > 0 then
    local reply = redis.pcall(unpack(ARGV, at + 1, at + words))
    if type(reply) == 'table' and reply.err then
      failed = failed or reply
    elseif name == 'XACK' then
      acknowledged = acknowledged + reply
    end
  end
  at = at + 1 + words
end
return failed or acknowledged
