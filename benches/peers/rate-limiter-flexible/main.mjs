// rate-limiter-flexible beside Trackside: the program that `cargo xtask peers --limits` runs for it; its words are those of ../README.md.
//
// Three limits are three limiters that are asked at once, which is what its union of limiters does.

import { createRequire } from 'node:module'
import { Redis } from 'ioredis'
import { RateLimiterRedis } from 'rate-limiter-flexible'

const MINUTE = 60
const AMPLE = 1_000_000_000
const KEYS = 10_000

function versions() {
  const { dependencies } = createRequire(import.meta.url)('./package.json')
  return { ...dependencies, node: process.versions.node }
}

/** So many calls by so many callers, each of which waits for its answers. */
async function timed(call, places, count) {
  let times = []
  let number = 0
  const caller = async (calls) => {
    for (let n = 0; n < calls; n++) {
      const begun = performance.now()
      await call(number++)
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

async function limits(what, places, count) {
  const storeClient = new Redis(process.env.PEERS_REDIS_URL)
  const limiter = (keyPrefix, points) => new RateLimiterRedis({ storeClient, keyPrefix, points, duration: MINUTE })
  const user = limiter('user', AMPLE)
  const project = limiter('project', AMPLE)
  const ip = limiter('ip', AMPLE)
  const scarce = limiter('scarce', 1)
  const allowed = (result) => {
    if (result.remainingPoints < 0) throw new Error('denied')
  }
  const calls = {
    one: async () => allowed(await user.consume('user-4711')),
    three: async () => {
      const all = [user.consume('user-4711'), project.consume('project-42'), ip.consume('203.0.113.9')]
      for (const result of await Promise.all(all)) allowed(result)
    },
    keys: async (number) => allowed(await user.consume(`user-${number % KEYS}`)),
    // A denial is a rejection that carries its result.
    denied: () => scarce.consume('user-4711').catch((result) => {
      if (!(result.msBeforeNext > 0)) throw result
    }),
  }
  const answer = calls[what] ? await timed(calls[what], places, count) : null
  storeClient.disconnect()
  return answer
}

const [verb, ...words] = process.argv.slice(2)
const verbs = {
  versions: async () => versions(),
  limits: (what, places, count) => limits(what, Number(places), Number(count)),
}
if (!verbs[verb]) throw new Error('versions | limits one|three|keys|denied|leased <places> <count>')
console.log(JSON.stringify(await verbs[verb](...words)))
process.exit(0)
