// bentocache beside Trackside: the program that `cargo xtask peers --caches` runs for it; its words are those of ../README.md.
//
// Copies in the process are those of its memory driver over the Redis driver, with the bus between processes.

import { createRequire } from 'node:module'
import { BentoCache, bentostore } from 'bentocache'
import { memoryDriver } from 'bentocache/drivers/memory'
import { redisBusDriver, redisDriver } from 'bentocache/drivers/redis'
import { Redis } from 'ioredis'

const KEY = 'peers:1'
const TTL = '5m'
const LOAD_MS = 100

/** A KiB of JSON. */
const value = () => ({ number: '00000001', text: 'x'.repeat(990) })

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

function versions() {
  const { dependencies } = createRequire(import.meta.url)('./package.json')
  return { ...dependencies, node: process.versions.node }
}

function open() {
  const url = new URL(process.env.PEERS_REDIS_URL)
  const connection = { host: url.hostname, port: Number(url.port) }
  const both = bentostore().useL1Layer(memoryDriver({ maxItems: 10_000 })).useL2Layer(redisDriver({ connection }))
  const stores = {
    both: both.useBus(redisBusDriver({ connection })),
    redis: bentostore().useL2Layer(redisDriver({ connection })),
  }
  return new BentoCache({ default: 'both', stores, ttl: TTL })
}

/** So many calls by so many callers, each of which waits for its answers. */
async function timed(call, places, count) {
  let times = []
  const caller = async (calls) => {
    for (let n = 0; n < calls; n++) {
      const begun = performance.now()
      await call()
      times.push(performance.now() - begun)
    }
  }
  await caller(100)
  times = []
  const begun = performance.now()
  await Promise.all(Array.from({ length: places }, () => caller(Math.floor(count / places))))
  const seconds = (performance.now() - begun) / 1000
  times.sort((a, b) => a - b)
  const at = (part) => times[Math.floor(times.length * part)] * 1000
  return { calls_per_s: times.length / seconds, p50_us: at(0.5), p99_us: at(0.99) }
}

async function cache(what, places, count) {
  const bento = open()
  const store = bento.use(what === 'redis' ? 'redis' : 'both')
  await store.set({ key: KEY, value: value() })
  const check = (found) => {
    if (found.number !== '00000001') throw new Error('another value')
  }
  const calls = {
    memory: async () => check(await store.get({ key: KEY })),
    redis: async () => check(await store.get({ key: KEY })),
    load: async () => check(await store.getOrSet({ key: KEY, factory: value })),
    set: () => store.set({ key: KEY, value: value() }),
  }
  const answer = await timed(calls[what], places, count)
  await bento.disconnectAll()
  return answer
}

async function stampede(callers, at) {
  const bento = open()
  const client = new Redis(process.env.PEERS_REDIS_URL)
  await client.ping()
  client.disconnect()
  let loads = 0
  const factory = async () => {
    loads += 1
    await pause(LOAD_MS)
    return value()
  }
  await pause(Math.max(0, at * 1000 - Date.now()))
  await Promise.all(Array.from({ length: callers }, () => bento.getOrSet({ key: 'peers:cold', factory })))
  await bento.disconnectAll()
  return { loads }
}

const [verb, ...words] = process.argv.slice(2)
const verbs = {
  versions: async () => versions(),
  cache: (what, places, count) => cache(what, Number(places), Number(count)),
  stampede: (callers, at) => stampede(Number(callers), Number(at)),
}
if (!verbs[verb]) throw new Error('versions | cache memory|redis|load|set <places> <count> | stampede <callers> <at>')
console.log(JSON.stringify(await verbs[verb](...words)))
process.exit(0)
