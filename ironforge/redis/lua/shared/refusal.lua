-- What limits say to the jobs of a call, in front of its first write: what refuses it, if anything. A limit must be there and
-- let as many units through at once; the lines that jobs join must be lines. A new key must not be one too many.
local function refusal(first, width, known, most_keys)
  local keys, count = {}, 0
  local function refused(why, at, number, claim, burst)
    return {'limit', why, (at - first) / width, number - 1, claim.name, tonumber(claim.units), burst or 0}
  end
  for at = first, #ARGV, width do
    local mark = ARGV[at + 4]
    if mark ~= '' and is_limited(mark) and not known[at] then
      local claims, concurrent, fifo = claims_of(mark), 0, nil
      for number, claim in ipairs(claims) do
        local limit = definition(claim.name)
        if not limit then return wrong_type({stem .. 'limits'}) or refused('unknown', at, number, claim) end
        local burst = limit.rate and burst_of(limit.rate)
        if burst and tonumber(claim.units) > burst then return refused('units', at, number, claim, burst) end
        if limit.concurrency then concurrent = concurrent + 1 end
        if is_fifo(claim) then fifo = number end
        if not keys[claim.key] then keys[claim.key], count = true, count + 1 end
      end
      if fifo and concurrent > 1 then return refused('fifo', at, fifo, claims[fifo]) end
      local wrong = wrong_line(string.match(KEYS[tonumber(ARGV[at])], '}:q:(.*)$'), claims)
      if wrong then return wrong end
    end
  end
  local in_use = count > 0 and redis.call('HLEN', stem .. 'inuse')
  if in_use and in_use + count > most_keys then
    local fresh = 0
    for key in pairs(keys) do fresh = fresh + 1 - redis.call('HEXISTS', stem .. 'inuse', key) end
    if fresh > 0 and in_use + fresh > most_keys then return {'keys', in_use, fresh, most_keys} end
  end
end
