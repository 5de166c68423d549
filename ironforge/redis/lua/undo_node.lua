#!lua flags=allow-oom
-- Puts the job into its stream that undoes a node of a workflow whose nodes have all ended. It may be repeated.
-- KEYS  fence, index, parked, queues, totals, finishing, graph, progress, results
-- ARGV  epoch, workflow, generation, number, before, member, id, place, mark, record, expires_in
--       number of the node; before: of the one that was undone before it ('': it is the first); member: its name among the results;
--       id of the job, `<queue>:<priority>`, its mark ('' all: it lies in another shard, and is submitted there), in how many ms
--       it expires
-- USES  stem, clock, count, progress, limits, holders, admission, turns, places, lines, enqueue, line_types, pending, unique, family, parent, accepted
-- Returns 1, or 0: it goes on in some other way
local head = redis.call('GETRANGE', progress, 0, HEAD - 1)
if string.sub(redis.call('HGET', index, workflow) or '', 1, 2) ~= 'w:' or #head < HEAD then return 0 end
head = read_head(head)
if head.left > 0 or head.paused ~= 0 or head.generation ~= tonumber(generation) then return 0 end
if (redis.call('HGET', graph, 'x') or '') ~= before then return 0 end
local wrong = place ~= '' and wrong_accepted(id, place, mark, record) or nil
if wrong then return wrong end
redis.call('HSET', graph, 'x', number)
if place == '' then return 1 end
local other = put_accepted(id, place, mark, record, expires_in)
if other then
  -- It never runs, and what came before may need what it leaves.
  redis.call('HSET', results, member, end_record(kin(record), 'job ' .. id_text(other) .. ' has its unique key'))
else
  enqueued(parked)
  redis.call('ZREM', finishing, workflow)
end
return 1
