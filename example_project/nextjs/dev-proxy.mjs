// One origin for Django and Next.js, as a web server makes it in production: for the demo and tests.
//
//   PORT=8000 DJANGO_URL=http://127.0.0.1:8001 NEXT_URL=http://127.0.0.1:8002 node dev-proxy.mjs

import { createServer, request } from "node:http";

const { HOST = "127.0.0.1", PORT = "8000", DJANGO_URL, NEXT_URL } = process.env;
const NEXT_PATHS = /^\/(dashboard|_next)(\/|\?|$)/;

createServer((incoming, outgoing) => {
  const target = new URL(NEXT_PATHS.test(incoming.url) ? NEXT_URL : DJANGO_URL);
  const { "x-forwarded-for": forwarded, connection, ...headers } = incoming.headers;
  const upstream = request({
    host: target.hostname,
    port: target.port,
    agent: false, // a connection for each request: Django's own server closes them without a word
    method: incoming.method,
    path: incoming.url,
    headers: {
      ...headers, // the Host too: both build their addresses from it
      "x-forwarded-for": [forwarded, incoming.socket.remoteAddress].filter(Boolean).join(", "),
      "x-forwarded-proto": "http",
    },
  });
  upstream.on("response", (response) => {
    outgoing.writeHead(response.statusCode, response.rawHeaders);
    response.pipe(outgoing);
  });
  upstream.on("error", () => {
    if (outgoing.headersSent) {
      outgoing.destroy();
    } else {
      outgoing.writeHead(502).end("Bad gateway");
    }
  });
  outgoing.on("close", () => upstream.destroy());
  incoming.pipe(upstream);
}).listen(Number(PORT), HOST);
