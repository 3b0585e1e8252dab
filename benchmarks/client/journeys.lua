-- What the benchmark's `post` and `mix` send, as locustfile.py does: the journey is the script's argument.
local order = '{"buyer_id":123,"lines":[{"sku":"sku-000001","quantity":1}]}'
local json = { ["Content-Type"] = "application/json", ["Idempotency-Key"] = "0123456789abcdef" }
local octets = { ["Content-Type"] = "application/octet-stream" }
local requests, turn = {}, 0

function init(args)
  if args[1] == "post" then
    requests[1] = wrk.format("POST", "/order", json, order)
    return
  end
  requests[1] = wrk.format("GET", "/order")
  requests[2] = wrk.format("GET", "/page")
  requests[3] = wrk.format("POST", "/order", json, order)
  requests[4] = wrk.format("POST", "/order", octets, string.rep("x", 4096))
  requests[5] = wrk.format("GET", "/order")
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end
