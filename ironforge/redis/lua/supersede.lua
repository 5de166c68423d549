#!lua flags=allow-oom
-- Takes jobs of nodes out of the dead letter whose workflow runs these nodes again by other jobs: they are cancelled.
-- KEYS  index, dead, parked, totals, buckets
-- ARGV  per job: id, its record as it was seen, the cancelled one, bucket, its seconds to live (0: none is kept), its expiry
--         in ms, mark: its limits as the index would say them
-- USES  stem, types, clock, count, limits, holders, family, waits, keep_record
-- Returns how many lay there still
local WIDTH = 7
local wrong = wrong_type(KEYS) or wrong_type({stem .. 'families'})
for at = 1, #ARGV, WIDTH do
  local bucket = ARGV[at + 3]
  wrong = wrong or wrong_type({bucket, stem .. 'journals:' .. string.match(bucket, '}:(.*)$')})
end
if wrong then return wrong end

local left = 0
for at = 1, #ARGV, WIDTH do
  local id, seen, record, bucket, seconds, expiry, mark = unpack(ARGV, at, at + WIDTH - 1)
  if redis.call('HGET', index, id) == 'd' and redis.call('HGET', parked, id) == seen then
    left = left + 1
    redis.call('ZREM', dead, id)
    redis.call('HDEL', parked, id)
    redis.call('HDEL', index, id)
    if is_limited(mark) then release(id, mark, false) end
    end_family(id, seconds, expiry)
    end_journal(id, seconds, bucket)
    keep_record(bucket, buckets, id, record, seconds, expiry)
  end
end
tell_of_room()
count(totals, 'cancelled', left)
return left
