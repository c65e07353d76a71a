dofile(debug.getinfo(1, "S").source:sub(2):match(".*/") .. "report.lua")

-- The argument names a file with a cookie in each line; request after request takes the next one. The texts are made beforehand and the
-- answers are not looked at, so that the load stays as fast as it is with one fixed request.
local texts, turn = {}, 0
init = function(arguments)
  for cookie in io.lines(arguments[1]) do
    texts[#texts + 1] = wrk.format("GET", nil, { Cookie = cookie })
  end
end
request = function()
  turn = turn % #texts + 1
  return texts[turn]
end
