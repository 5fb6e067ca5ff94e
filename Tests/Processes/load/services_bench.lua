-- Checks out the orders FIRST, FIRST + 1, ... each once, and tells what came of it in one line of JSON.
local next_order = tonumber(os.getenv("FIRST"))

function request()
    local path = "/orders/checkout/" .. next_order
    next_order = next_order + 1
    return wrk.format("POST", path)
end

function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format(
        '{"requests":%d,"seconds":%f,"refused":%d,"unanswered":%d,"p50":%f,"p90":%f,"p99":%f,"p999":%f,"max":%f}\n',
        summary.requests, summary.duration / 1e6, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
        latency:percentile(50) / 1e3, latency:percentile(90) / 1e3, latency:percentile(99) / 1e3,
        latency:percentile(99.9) / 1e3, latency.max / 1e3))
end
