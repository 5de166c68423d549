#!lua flags=allow-oom
-- Drops what some workflows are made of, whose records are in a bucket that goes.
-- KEYS  workflows
-- ARGV  most
--       workflows: the ids of those in this bucket
-- USES  stem, family, parts
-- Returns how many
local popped = redis.call('ZPOPMIN', workflows, most)
for at = 1, #popped, 2 do redis.call('UNLINK', unpack(parts_of(popped[at]))) end
return #popped / 2
