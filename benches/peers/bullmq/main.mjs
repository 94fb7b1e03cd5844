// BullMQ beside Trackside: the program that `cargo xtask peers` runs for it; its words are those of ../README.md.
//
// Settings: finished jobs are removed at once (`removeOnComplete`), as its guide advises for production; no
// auto-pipelining of ioredis, with which it is slower; everything else as it comes.

import { createRequire } from 'node:module';
import { performance } from 'node:perf_hooks';
import { Queue, Worker } from 'bullmq';
import IORedis from 'ioredis';

const QUEUE = 'peers';
const IN_FLIGHT = 64;
const BULK = 1000;
const REST_MS = 10;
const url = process.env.PEERS_REDIS_URL;

const connect = () => new IORedis(url, { maxRetriesPerRequest: null });
const rest = () => new Promise((resolve) => setTimeout(resolve, REST_MS));

// 200 bytes of JSON.
const payload = (number) => ({ number: String(number).padStart(8, '0'), text: 'x'.repeat(169) });

function open() {
  return new Queue(QUEUE, { connection: connect(), defaultJobOptions: { removeOnComplete: true } });
}

function versions() {
  const require = createRequire(import.meta.url);
  const of = (name) => require(`${name}/package.json`).version;
  return { bullmq: of('bullmq'), ioredis: of('ioredis'), node: process.versions.node };
}

async function enqueue(mode, count) {
  const queue = open();
  await queue.waitUntilReady();
  const begun = performance.now();
  if (mode === 'one') {
    for (let number = 0; number < count; number += 1) await queue.add('noop', payload(number));
  } else if (mode === 'flight') {
    const lane = async (first) => {
      for (let number = first; number < count; number += IN_FLIGHT) await queue.add('noop', payload(number));
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, (_, first) => lane(first)));
  } else if (mode === 'bulk') {
    for (let from = 0; from < count; from += BULK) {
      const length = Math.min(BULK, count - from);
      await queue.addBulk(Array.from({ length }, (_, at) => ({ name: 'noop', data: payload(from + at) })));
    }
  } else {
    throw new Error(`no way to enqueue is called ${mode}`);
  }
  const seconds = (performance.now() - begun) / 1000;
  await queue.close();
  return { seconds };
}

async function work(concurrency) {
  const worker = new Worker(QUEUE, async () => {}, { connection: connect(), concurrency });
  await new Promise((resolve) => process.once('SIGTERM', resolve));
  await worker.close();
}

// Microseconds from the call that enqueues to the start of the handler, one job at a time, in one process.
async function pickup(samples) {
  let started;
  const handler = async () => started(performance.now());
  const worker = new Worker(QUEUE, handler, { connection: connect(), concurrency: 16 });
  const queue = open();
  await Promise.all([worker.waitUntilReady(), queue.waitUntilReady()]);
  const micros = [];
  // The first one is for the connections.
  for (let number = 0; number <= samples; number += 1) {
    const start = new Promise((resolve) => (started = resolve));
    const begun = performance.now();
    await queue.add('noop', payload(number));
    const at = await start;
    if (number > 0) micros.push(Math.max(0, Math.round((at - begun) * 1000)));
    await rest();
  }
  await worker.close();
  await queue.close();
  return { pickup_us: micros };
}

const [action, ...words] = process.argv.slice(2);
const actions = {
  versions: () => versions(),
  enqueue: () => enqueue(words[0], Number(words[1])),
  work: () => work(Number(words[0])),
  pickup: () => pickup(Number(words[0])),
};
if (!(action in actions)) throw new Error('versions | enqueue one|flight|bulk <count> | work <concurrency> | pickup <samples>');
const answer = await actions[action]();
if (answer) console.log(JSON.stringify(answer));
process.exit(0);
