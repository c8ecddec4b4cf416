-- Visitors for wrk: the sessions in a file ask in turn, each keeps the cookies that it is given.
--   wrk -s benchmarks/visitors.lua http://127.0.0.1:8140/wsgi -- cookies.txt [page]
-- Of 99 requests 90 read, 5 leave the session alone and 4 write; or all ask for one page.

local cookies, asked, prefix, only = {}, 0, "", nil
local kinds = {[5] = "plain", [25] = "plain", [45] = "plain", [65] = "plain", [90] = "plain",
               [10] = "write", [35] = "write", [60] = "write", [85] = "write"}
lost = 0 -- sessions whose cookie was deleted; global, for done()

function init(args)
   prefix, only = wrk.path, args[2]
   for line in io.lines(args[1]) do cookies[#cookies + 1] = line end
end

function request()
   local who = asked % #cookies + 1
   local page = only or kinds[asked % 99] or "read"
   asked = asked + 1
   wrk.headers["Cookie"] = "sessionid=" .. cookies[who]
   return wrk.format("GET", prefix .. "/" .. page .. "/?" .. who)
end

function response(status, headers, body)
   local given = headers["Set-Cookie"]
   if given then
      local value = given:match("sessionid=([^;]*)")
      if value == '""' or value == "" then lost = lost + 1
      else cookies[tonumber(headers["X-Visitor"])] = value end
   end
end

local threads = {}
function setup(thread) threads[#threads + 1] = thread end

function done(summary, latency, requests)
   local wrong, failed = 0, summary.errors
   for _, thread in ipairs(threads) do wrong = wrong + thread:get("lost") end
   io.write(string.format('\n{"requests": %d, "seconds": %f, "p50": %f, "p99": %f, "errors": %d, "lost": %d}\n',
      summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
      failed.connect + failed.read + failed.write + failed.status + failed.timeout, wrong))
end
