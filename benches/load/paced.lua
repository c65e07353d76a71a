dofile(debug.getinfo(1, "S").source:sub(2):match(".*/") .. "report.lua")

-- Each connection waits for 0 to 10 ms before its next request, so that neither server nor load is ever at its limit.
delay = function() return math.random(0, 10) end
