#!lua flags=allow-oom
-- Runs the commands of a settlement where MULTI cannot: when memory is full, for work must be able to leave a full
-- server; and after a lost answer, for only here the batch can be seen to have been settled already. It was settled as
-- a whole or not at all, so when nothing of it is in its stream any more, nothing is counted again. The stream and not
-- the pending list: that is gone when somebody has destroyed the group, and the jobs end here all the same.
-- KEYS  fence, then every key that the commands touch
-- ARGV  epoch, then per command: number of its words, its words; XDEL comes before what it is counted by (HINCRBY)
-- Returns how many entries were still there; as MULTI does, it runs the commands behind one that fails
local ended, failed = 0, nil
local at = 2
while at < #ARGV do
  local words, name = tonumber(ARGV[at]), ARGV[at + 1]
  if name ~= 'HINCRBY' or ended > 0 then
    local reply = redis.pcall(unpack(ARGV, at + 1, at + words))
    if type(reply) == 'table' and reply.err then
      failed = failed or reply
    elseif name == 'XDEL' then
      ended = ended + reply
    end
  end
  at = at + 1 + words
end
return failed or ended
