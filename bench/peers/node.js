// SPDX-License-Identifier: MIT
//
// The benchmark's servers on Node: callbacks, and one write for each chunk.
// Usage: node node.js echo|lines|lines_concat|get|kv|udp [PORT]; see heap.lua for the environment
'use strict';

const [mode, port] = [process.argv[2], Number(process.argv[3] || 0)];

const entries = Number(process.env.BENCH_HEAP || 0);
const heap = new Map();
for (let i = 1; i <= entries; i++) heap.set('entry' + i, 'value of ' + i);
let keys = heap.keys();
let count = 0;
function touch(data) {
  let next = keys.next();
  if (next.done) next = (keys = heap.keys()).next();
  heap.set(next.value, data.toString('latin1', 0, 8) + ++count);
}
const written = process.env.BENCH_WRITTEN === 'yes' && entries > 0;

for (let i = 0; i < Number(process.env.BENCH_TASKS || 0); i++) setTimeout(() => {}, 1e9);

const store = new Map();
for (let i = 0; i < 10000; i++) {
  const key = 'key' + String(i).padStart(5, '0');
  store.set(key, key.padEnd(32));
}

const answers = {
  lines: (line) => line + '\n',
  lines_concat: (line) => line + '\n',
  get: (line) => {
    const value = line.startsWith('GET ') ? store.get(line.slice(4)) : undefined;
    return value === undefined ? '?\n' : value + '\n';
  },
  kv: (line) => {
    const value = line.startsWith('GET ') ? store.get(line.slice(4)) : undefined;
    return value === undefined ? '?\n' : 'VALUE ' + value + '\n';
  },
};

if (mode === 'udp') {
  const server = require('dgram').createSocket('udp4');
  server.on('message', (data, from) => server.send(data, from.port, from.address));
  server.bind(port, '127.0.0.1', () => console.log(server.address().port));
} else {
  const server = require('net').createServer({ noDelay: true }, (conn) => {
    conn.on('error', () => conn.destroy());
    if (mode === 'echo') {
      conn.on('data', (data) => {
        if (written) touch(data);
        conn.write(data);
      });
      return;
    }
    const answer = answers[mode];
    let rest = '';
    conn.setEncoding('latin1');
    conn.on('data', (data) => {
      const lines = (rest + data).split('\n');
      rest = lines.pop();
      let replies = '';
      for (const line of lines) {
        if (written) touch(Buffer.from(line, 'latin1'));
        replies += answer(line);
      }
      if (replies !== '') conn.write(replies, 'latin1');
    });
  });
  server.listen({ port, host: '127.0.0.1', backlog: 1024 }, () => {
    console.log(server.address().port);
  });
}
