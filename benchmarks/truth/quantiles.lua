-- Prints what wrk and wrk2 know of the latencies, in microseconds.
function done(summary, latency, requests)
  for _, p in pairs({ 50, 90, 95, 99, 99.9, 99.99 }) do
    io.write(string.format("quantile %.2f %d\n", p, latency:percentile(p)))
  end
end
