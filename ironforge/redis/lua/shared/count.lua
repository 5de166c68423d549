-- A number in a hash. One that somebody has put something else into counts no more, and stops nothing.
local function count(hash, field, by)
  if by ~= 0 then redis.pcall('HINCRBY', hash, field, by) end
end
