#!lua flags=allow-oom
-- Ends workflows whose nodes have all ended, and of which nothing is left to undo: what they are made of stays as long as their
-- records. Each puts the job into its stream that is to be told of it.
-- KEYS  fence, index, parked, dead, buckets, queues, totals, delayed, finishing, stopping, waiting
-- ARGV  epoch, then per workflow: id, generation, record, bucket ('': it is dead), seconds (0: nothing is kept), expiry in ms,
--         callback, place, mark, called, expires_in
--       generation in which it was seen; expiry of the bucket; id of the job that is told ('': none is, and the rest is empty),
--       `<queue>:<priority>`, its mark and record, in how many ms it expires
-- USES  stem, clock, count, delay, family, parts, progress, limits, holders, admission, turns, places, lines, enqueue, line_types, pending, unique, accepted, flow, go_on, runs
-- PLAIN stem, clock, count, delay, family, parts, progress, turns, flow, go_on, runs
--       for workflows without such a job
-- Returns per workflow 1, or 0: it has ended already, or goes on
local WIDTH = 11

-- Where the index has it.
local function place_of(id, generation)
  local location = redis.call('HGET', index, id) or ''
  if string.sub(location, 1, 2) ~= 'w:' then return false end
  local head = redis.call('GETRANGE', stem .. 'progress:' .. hex(id), 0, HEAD - 1)
  head = #head == HEAD and read_head(head)
  return head and head.left == 0 and head.generation == tonumber(generation) and location
end

-- Until when the records of a bucket stay: of many workflows that is said once.
local kept = {}
local function keep(bucket, seconds, expiry)
  if (kept[bucket] or 0) >= tonumber(seconds) then return end
  kept[bucket] = tonumber(seconds)
  for _, key in ipairs({stem .. bucket, stem .. 'workflows:' .. bucket}) do
    redis.call('EXPIRE', key, seconds, 'NX')
    redis.call('EXPIRE', key, seconds, 'GT')
  end
  redis.call('ZADD', buckets, 'GT', expiry, stem .. bucket)
end

-- None of them is asked for alone where there are none.
local has_runs = redis.call('EXISTS', runs_of) == 1
local over, reply, sound, left = {}, {}, {}, {}
for at = 2, #ARGV, WIDTH do
  local id, bucket = ARGV[at], ARGV[at + 3]
  local wrong = not sound[bucket] and wrong_type(bucket == '' and {stem .. 'workflows:dead'} or {stem .. bucket, stem .. 'workflows:' .. bucket})
    or ARGV[at + 6] ~= '' and wrong_accepted(ARGV[at + 6], ARGV[at + 7], ARGV[at + 8], ARGV[at + 9]) or has_runs and wrong_runs(id) or nil
  if wrong then return wrong end
  sound[bucket] = true
  over[at] = place_of(id, ARGV[at + 1])
end

for at = 2, #ARGV, WIDTH do
  local id, _, record, bucket, seconds, expiry = unpack(ARGV, at, at + 5)
  if over[at] then
    left[over[at]] = (left[over[at]] or 0) + 1
    if bucket == '' then
      redis.call('ZADD', dead, now, id)
      redis.call('HSET', parked, id, record)
      redis.call('HSET', index, id, 'd')
      redis.call('ZADD', stem .. 'workflows:dead', 0, id)
    else
      redis.call('HDEL', index, id)
      redis.call('HDEL', parked, id)
      if seconds == '0' then
        redis.call('UNLINK', unpack(parts_of(id)))
      else
        for _, part in ipairs(parts_of(id)) do redis.call('EXPIRE', part, seconds) end
        redis.call('HSET', stem .. bucket, id, record)
        redis.call('ZADD', stem .. 'workflows:' .. bucket, 0, id)
        keep(bucket, seconds, expiry)
      end
    end
    redis.call('ZREM', waiting, id)
    redis.call('ZREM', finishing, id)
    redis.call('ZREM', stopping, id .. 'f', id .. 'c')
    if has_runs then leave_runs(id, now) end
    if ARGV[at + 6] ~= '' then
      put_accepted(unpack(ARGV, at + 6, at + 10))
      enqueued(parked)
    end
  elseif string.sub(redis.call('HGET', index, id) or '', 1, 2) ~= 'w:' then
    redis.call('ZREM', finishing, id)
  end
  reply[#reply + 1] = over[at] and 1 or 0
end
for place, workflows in pairs(left) do delay(delayed, place, -workflows) end
return reply
