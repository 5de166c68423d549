-- In front of the first write: an error for a key of the wrong type among those that taking a job from where it waits, and
-- giving back what it holds, write to; or nothing. `location`: as the index says it; `mark`: what it uses of limits.
local function wrong_at(location, mark)
  local letter, place, waits = string.match(location, '^([flk]):([^:]*:%d)(.*)$')
  local names = {}
  if letter == 'f' or letter == 'l' then names = {stem .. 'fair:' .. place, stem .. 'turns:' .. place} end
  if letter == 'k' then names = {stem .. 'declined:' .. place, stem .. 'unserved', stem .. 'versionlines'} end
  if is_limited(mark) then names[#names + 1] = stem .. 'room' end
  return wrong_type(names) or letter == 'l' and wrong_line(place, claims_of(waits)) or nil
end

-- Takes a job that waits from where it waits. `location`: as the index says it.
local function withdraw(scheduled, parked, delayed, id, location)
  local stream, entry = string.match(location, '^q:(.*):(%d+%-%d+)$')
  if stream then
    redis.call('XDEL', stem .. 'q:' .. stream, entry)
    return
  end
  if redis.call('ZREM', scheduled, id) == 1 then delay(delayed, location, -1) end
  local letter, place, mark = string.match(location, '^([fl]):([^:]*:%d)(:.*)$')
  if letter then
    local fair, turns = stem .. 'fair:' .. place, stem .. 'turns:' .. place
    if redis.call('ZREM', fair, id) == 1 then give_back(turns, mark) end
    if redis.call('EXISTS', fair) == 0 then redis.call('DEL', turns) end
  end
  local line = string.match(location, '^k:([^\n]*)')
  if line then
    local declined = stem .. 'declined:' .. string.match(line, '^[^:]*:%d')
    redis.call('ZREM', declined, kind_of(line) .. '\n' .. id)
    vacate(stem .. 'unserved', declined, line)
  end
  redis.call('HDEL', parked, id)
  if letter == 'l' then
    local key = claims_of(mark)[1].key
    redis.call('ZREM', line_of(place, key), id)
    redis.call('ZREM', stem .. 'behind:' .. place, id)
    offer(place, {key})
  end
end
