// Scripts in Lua that others wrote: rate-limiter-flexible over both clients, and locks by redlock, many callers at once.
'use strict';

const Redis = require('ioredis');
const { createClient } = require('redis');
const { RateLimiterRedis, RateLimiterQueue, BurstyRateLimiter, RateLimiterUnion } = require('rate-limiter-flexible');
const { default: Redlock, ExecutionError } = require('redlock');
const { port, tell, refused, until, program } = require('./outcome');

program(async () => {
  const redis = new Redis(port, '127.0.0.1');
  const client = await createClient({ url: `redis://127.0.0.1:${port}` }).connect();
  const told = ({ consumedPoints, remainingPoints, isFirstInDuration, msBeforeNext }) =>
    [consumedPoints, remainingPoints, isFirstInDuration, msBeforeNext > 0 ? 'later' : msBeforeNext];

  for (const [name, store] of [['ioredis', { storeClient: redis }], ['node-redis', { storeClient: client, useRedisPackage: true }]]) {
    const limiter = new RateLimiterRedis({ ...store, keyPrefix: name, points: 5, duration: 100 });
    tell(`${name}: one after another`, [told(await limiter.consume('anna')), told(await limiter.consume('anna', 3))]);
    const crowd = await Promise.allSettled(Array.from({ length: 40 }, () => limiter.consume('crowd')));
    tell(`${name}: forty at once`, crowd.filter(({ status }) => status === 'fulfilled').length);
    tell(`${name}: too many`, told(await limiter.consume('anna', 4).catch((e) => e)));
    tell(`${name}: looked at`, [told(await limiter.get('anna')), await limiter.get('nobody')]);
    tell(`${name}: given back`, [told(await limiter.reward('anna', 6)), told(await limiter.penalty('anna', 1))]);
    tell(`${name}: blocked`, [told(await limiter.block('anna', 50)), await limiter.consume('anna').catch((e) => e.remainingPoints)]);
    tell(`${name}: deleted`, [await limiter.delete('anna'), await limiter.delete('anna'), told(await limiter.consume('anna'))]);
    const short = new RateLimiterRedis({ ...store, keyPrefix: `${name} short`, points: 1, duration: 1 });
    await short.consume('x');
    await short.consume('x').then(() => tell('not limited', true), () => {});
    await until(() => short.consume('x').then(() => true, () => false), 'a new second');
    const insured = new RateLimiterRedis({ ...store, keyPrefix: `${name} blocks`, points: 2, duration: 100, blockDuration: 200, inMemoryBlockOnConsumed: 3 });
    const spent = await Promise.allSettled([1, 2, 3, 4].map(() => insured.consume('x')));
    tell(`${name}: blocked for longer`, spent.map(({ status }) => status).sort());
  }
  const bursty = new BurstyRateLimiter(
    new RateLimiterRedis({ storeClient: redis, keyPrefix: 'steady', points: 2, duration: 100 }),
    new RateLimiterRedis({ storeClient: redis, keyPrefix: 'burst', points: 3, duration: 100 }),
  );
  const bursts = await Promise.allSettled(Array.from({ length: 9 }, () => bursty.consume('x')));
  tell('bursts', bursts.filter(({ status }) => status === 'fulfilled').length);
  const union = new RateLimiterUnion(
    new RateLimiterRedis({ storeClient: redis, keyPrefix: 'a minute', points: 2, duration: 60 }),
    new RateLimiterRedis({ storeClient: redis, keyPrefix: 'an hour', points: 3, duration: 3600 }),
  );
  await union.consume('x');
  await union.consume('x');
  tell('two limits', Object.keys(await union.consume('x').catch((e) => e)));
  const queue = new RateLimiterQueue(new RateLimiterRedis({ storeClient: redis, keyPrefix: 'queue', points: 2, duration: 1 }), { maxQueueSize: 3 });
  const queued = await Promise.allSettled(Array.from({ length: 6 }, () => queue.removeTokens(1)));
  tell('a queue', queued.map(({ status, reason }) => (reason ? reason.message : status)).sort());

  // Locks: whoever holds it is alone, on several keys that may be on several shards.
  const redlock = new Redlock([redis], { retryCount: 2000, retryDelay: 2, retryJitter: 3 });
  const impatient = new Redlock([redis], { retryCount: 0 });
  let inside = 0, most = 0, sum = 0;
  const account = async (i) => {
    await redlock.using([`lock:${i % 2}`, 'lock:all'], 5000, async () => {
      most = Math.max(most, ++inside);
      sum = sum + (await redis.incrby('account', i));
      inside--;
    });
  };
  await Promise.all(Array.from({ length: 40 }, (_, i) => account(i)));
  tell('locked', [most, await redis.get('account'), await redis.exists('lock:all', 'lock:0', 'lock:1')]);
  const held = await redlock.acquire(['one', 'two'], 10_000);
  tell('refused', (await impatient.acquire(['two', 'three'], 1000).catch((e) => e)) instanceof ExecutionError);
  tell('a part is not taken', [await redis.exists('three'), (await redis.get('one')) === held.value, (await redis.pttl('two')) > 5000]);
  const longer = await held.extend(60_000);
  tell('extended', (await redis.pttl('one')) > 30_000);
  await longer.release();
  tell('released', await redis.exists('one', 'two'));
  tell('released twice', await refused(longer.release()));
  const brief = await redlock.acquire(['brief'], 150);
  const next = await redlock.acquire(['brief'], 10_000);
  tell('after it ended by itself', [brief.value !== next.value, (await redis.get('brief')) === next.value]);
  tell('too late', await refused(brief.extend(1000)));
});
