-- In front of the first write of a script that puts jobs with limits into lines, or takes them out of there: an error for a key
-- of the wrong type among those that these claims lead to at a place, or nothing. Each key is looked at once.
local sound = {}
local function wrong_line(place, claims)
  local names = {stem .. 'behind:' .. place, stem .. 'inuse', stem .. 'dueroom'}
  if sound[place] then names = {} end
  for _, claim in ipairs(claims) do
    local line = line_of(place, claim.key)
    if not sound[line] then
      names[#names + 1], sound[line] = line, true
    end
  end
  sound[place] = true
  return wrong_type(names)
end

-- The same of what a job uses of limits, if it does.
local function wrong_mark(place, mark) return is_limited(mark) and wrong_line(place, claims_of(mark)) or nil end
