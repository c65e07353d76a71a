dofile(debug.getinfo(1, "S").source:sub(2):match(".*/") .. "report.lua")

-- Every connection keeps the session cookie that the first response gave it; wrk shares one Lua state for a thread, so that all
-- connections of the thread are one browser unless each draws a session of its own from the pool.
local cookies, turn = {}, 0
request = function()
  turn = turn + 1
  local cookie = cookies[turn % 64 + 1]
  return wrk.format("GET", "/count", cookie and { Cookie = cookie } or {})
end
response = function(status, headers)
  local set = headers["Set-Cookie"] or headers["set-cookie"]
  if set and #cookies < 64 then cookies[#cookies + 1] = set:match("^[^;]+") end
end
