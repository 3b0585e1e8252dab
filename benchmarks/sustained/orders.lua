-- The order that locustfile.py sends, each with a key of its own.
local sent = 0
local headers = { ["Content-Type"] = "application/json" }

function request()
  sent = sent + 1
  headers["Idempotency-Key"] = string.format("wrk-%d", sent)
  local body = string.format('{"buyer_id":123,"lines":[{"sku":"sku-%06d","quantity":1}]}', 1 + sent % 1000)
  return wrk.format("POST", "/orders", headers, body)
end
