// SPDX-License-Identifier: MIT
//
// The benchmark's servers on Node: callbacks, and a write for each answer.
// Usage: node node.js echo|lines|get|udp [PORT]
'use strict';

const [mode, port] = [process.argv[2], Number(process.argv[3] || 0)];

const store = new Map();
for (let i = 0; i < 1000; i++) {
  const key = 'key' + String(i).padStart(4, '0');
  store.set(key, key.padEnd(32) + '\n');
}

function answer(line) {
  const value = line.startsWith('GET ') ? store.get(line.slice(4)) : undefined;
  return value === undefined ? '?\n' : value;
}

if (mode === 'udp') {
  const server = require('dgram').createSocket('udp4');
  server.on('message', (data, from) => server.send(data, from.port, from.address));
  server.bind(port, '127.0.0.1', () => console.log(server.address().port));
} else {
  const server = require('net').createServer({ noDelay: true }, (conn) => {
    conn.on('error', () => conn.destroy());
    if (mode === 'echo') {
      conn.on('data', (data) => conn.write(data));
      return;
    }
    let rest = '';
    conn.setEncoding('latin1');
    conn.on('data', (data) => {
      const lines = (rest + data).split('\n');
      rest = lines.pop();
      for (const line of lines) {
        conn.write(mode === 'get' ? answer(line) : line + '\n', 'latin1');
      }
    });
  });
  server.listen({ port, host: '127.0.0.1', backlog: 1024 }, () => {
    console.log(server.address().port);
  });
}
