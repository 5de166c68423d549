#!lua flags=allow-oom
-- Runs the commands of a settlement although memory is full: work must be able to leave a full server.
-- The usual way is MULTI with the same commands; it costs half, and the server refuses it when memory is full.
-- KEYS  fence, then every key that the commands touch
-- ARGV  epoch, then per command: number of its words, its words
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return redis.error_reply('STALE the fence has moved') end
local at = 2
while at < #ARGV do
  local words = tonumber(ARGV[at])
  redis.call(unpack(ARGV, at + 1, at + words))
  at = at + 1 + words
end
return 1
