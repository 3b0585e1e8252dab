// The script k6 runs in the benchmark, as locustfile.py is Locust's: BENCH_JOURNEY is `get`, `post` or `mix`, BENCH_URL
// the sink. Bodies are discarded, as k6 advises for much load, and connections are kept (its default).
import http from 'k6/http';

const url = __ENV.BENCH_URL;
const order = JSON.stringify({ buyer_id: 123, lines: [{ sku: 'sku-000001', quantity: 1 }] });
const json = { headers: { 'Content-Type': 'application/json', 'Idempotency-Key': '0123456789abcdef' } };
const octets = { headers: { 'Content-Type': 'application/octet-stream' } };
const page = 'x'.repeat(4096);

export const options = {
  vus: Number(__ENV.BENCH_USERS),
  duration: `${__ENV.BENCH_SECONDS}s`,
  discardResponseBodies: true,
  insecureSkipTLSVerify: true, // the sink's certificate is its own
};

function get() {
  http.get(`${url}/order`);
}

function post() {
  http.post(`${url}/order`, order, json);
}

function mix() {
  for (let turn = 0; turn < 2; turn++) {
    http.get(`${url}/order`);
    http.get(`${url}/page`);
    http.post(`${url}/order`, order, json);
    http.post(`${url}/order`, page, octets);
    http.get(`${url}/order`);
  }
}

export default { get, post, mix }[__ENV.BENCH_JOURNEY];

export function handleSummary(data) {
  return { [__ENV.BENCH_RESULT]: JSON.stringify(data, null, 1) };
}
