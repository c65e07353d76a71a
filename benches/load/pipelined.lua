dofile(debug.getinfo(1, "S").source:sub(2):match(".*/") .. "report.lua")

-- 16 requests in each write.
init = function()
  local requests = {}
  for i = 1, 16 do requests[i] = wrk.format("GET", "/") end
  request_text = table.concat(requests)
end
request = function() return request_text end
