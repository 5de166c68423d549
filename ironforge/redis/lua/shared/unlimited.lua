-- What scripts have in place of `limits`, `lines`, `unique` and `conflict` where no job has a limit or a unique key.
local owners, stored_as, outdated = {}, {}, {}
local function is_limited() return false end
local function all_joined() end
local function tell_of_room() end
