-- What scripts have in place of `limits`, `lines`, `unique`, `conflict` and `refusal` where no job has a limit or a unique key.
local newer = false
local function is_limited() return false end
local function all_joined() end
local function tell_of_room() end
