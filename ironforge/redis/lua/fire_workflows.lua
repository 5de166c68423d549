#!lua
-- Moves a schedule on, from where it was seen, and submits the workflows of its tick: all in one, whoever asks for it and however
-- often. Where they are refused nothing is done at all.
-- KEYS  those of `submit_workflows`
-- ARGV  those of `submit_workflows`; then the ids of all these workflows as one word, in how many ms the first one begins, how
--         many are between two of them, and the tick, as `ticks` has it
-- RUNS  submit_workflows
-- USES  stem, types, clock, count, history, ticks, turns, family, progress, flow, go_on, runs
-- Returns as `fire`; refused is the first of them
local SIZE_OF_ID = 16
local schedule, pause_ms, wait_ms, made = names[1], tonumber(table.remove(ARGV)), tonumber(table.remove(ARGV)), table.remove(ARGV)
local in_line = string.byte(overlaps[1]) == 113
local wrong = in_line and wrong_type({runs_of, runs_list(schedule)})
if wrong then return wrong end

local verdict = verdict_of(1, now, function(_, most) return first_run(schedule) ~= nil and redis.call('LLEN', runs_list(schedule)) > most end)
local answers = verdict == 'started' and submit_workflows() or {}
if answers.err then return answers end
local final
for number, answer in ipairs(answers) do
  if type(answer) == 'table' then return {now, 'refused', answer} end
  final = string.sub(made, (number - 1) * SIZE_OF_ID + 1, number * SIZE_OF_ID)
  if in_line then
    join_runs(schedule, final)
  elseif wait_ms > 0 or pause_ms > 0 then
    redis.call('ZADD', advance, 'XX', now + wait_ms + (number - 1) * pause_ms, final .. 'b0.0')
  end
end
return move_on(now, {verdict}, {final}, {}, 'w')
