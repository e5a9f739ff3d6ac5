// SPDX-License-Identifier: MIT
// Asking relay and recorder: what counts as no answer.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { getJson } from '../../../client/web/src/api.js';

test('an answer that stops in its middle is no answer', { timeout: 20000 }, async (t) => {
  const server = createServer((request, response) => {
    response.writeHead(200, { 'Content-Type': 'application/json' });
    response.write('{"now":');
  });
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const real = globalThis.fetch;
  const begun = new Promise((done) =>
    t.mock.method(globalThis, 'fetch', (...args) => {
      const response = real(...args);
      response.then(() => setImmediate(done));
      return response;
    })
  );
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const refused = assert.rejects(getJson(`http://127.0.0.1:${server.address().port}/`), { status: 0, code: 'no-answer' });
  await begun;
  t.mock.timers.tick(15000);
  await refused;
});
