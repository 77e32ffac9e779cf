// ioredis: pipelines, transactions, scripts by hash, publish and subscribe, a consumer group, waiting, scans.
'use strict';

const Redis = require('ioredis');
const { port, tell, refused, until, program } = require('./outcome');

program(async () => {
  const redis = new Redis(port, '127.0.0.1');
  redis.defineCommand('addIfBelow', {
    numberOfKeys: 2,
    lua: `
      local n = tonumber(redis.call('GET', KEYS[1]) or '0')
      if n + ARGV[1] > tonumber(ARGV[2]) then return {err = 'LIMIT reached at ' .. n} end
      redis.call('RPUSH', KEYS[2], ARGV[1])
      return redis.call('INCRBY', KEYS[1], ARGV[1])`,
  });

  const pipeline = redis.pipeline();
  for (let i = 0; i < 500; i++) pipeline.set(`key:${i}`, `value ${i}`).incrby('sum', i);
  pipeline.get('sum').lpush('list', 1, 2).hset('hash', { a: 1, b: 'two' }).hgetall('hash');
  const replies = await pipeline.exec();
  tell('pipeline', replies.slice(-5).map(([error, value]) => (error ? error.message : value)));
  tell('mget', await redis.mget('key:1', 'key:499', 'none'));
  tell('buffers', (await redis.getBuffer('key:7')).toString('hex'));
  await redis.set('bytes', Buffer.from([0, 255, 13, 10, 1]));
  tell('bytes', [...(await redis.getBuffer('bytes'))]);

  const transaction = await redis.multi().set('a', '1').incr('a').lpush('a', 'x').get('a').exec();
  tell('multi', transaction.map(([error, value]) => (error ? error.message : value)));
  tell('multi with a wrong command', await refused(redis.multi().set('a').exec()));
  const other = redis.duplicate();
  await redis.watch('watched');
  await other.set('watched', 'changed');
  tell('multi after a watched key changed', await redis.multi().set('watched', 'mine').exec());

  tell('script', [await redis.addIfBelow('limit', 'taken', 3, 10), await redis.addIfBelow('limit', 'taken', 6, 10)]);
  tell('script refuses', await refused(redis.addIfBelow('limit', 'taken', 3, 10)));
  tell('script after flush', [await redis.script('FLUSH'), await redis.addIfBelow('limit', 'taken', 1, 10)]);
  const scripts = await redis.pipeline().addIfBelow('p1', 'p2', 1, 2).addIfBelow('p1', 'p2', 1, 2).exec();
  tell('scripts in a pipeline', scripts);
  tell('what the script wrote', await redis.lrange('taken', 0, -1));

  const heard = [];
  const subscriber = new Redis(port, '127.0.0.1');
  subscriber.on('message', (channel, message) => heard.push([channel, message]));
  subscriber.on('pmessage', (pattern, channel, message) => heard.push([pattern, channel, message]));
  tell('subscribe', [await subscriber.subscribe('news', 'weather'), await subscriber.psubscribe('new*')]);
  tell('publish', [await redis.publish('news', 'one'), await redis.publish('weather', 'rain')]);
  await until(() => heard.length === 3, 'messages');
  tell('heard', heard);
  tell('subscriber asks', await refused(subscriber.get('a')));
  tell('unsubscribe', [await subscriber.unsubscribe('news'), await subscriber.punsubscribe('new*')]);
  tell('publish to fewer', [await redis.publish('news', 'two'), await redis.publish('weather', 'sun')]);

  tell('group', await redis.xgroup('CREATE', 'orders', 'shop', '$', 'MKSTREAM'));
  tell('group twice', await refused(redis.xgroup('CREATE', 'orders', 'shop', '$')));
  const waiting = other.xreadgroup('GROUP', 'shop', 'anna', 'COUNT', 2, 'BLOCK', 20000, 'STREAMS', 'orders', '>');
  await redis.xadd('orders', '1-1', 'item', 'tea', 'pieces', '2');
  tell('a consumer that waited', await waiting);
  for (let i = 2; i < 8; i++) await redis.xadd('orders', `${i}-1`, 'item', `thing ${i}`);
  tell('second consumer', await redis.xreadgroup('GROUP', 'shop', 'bob', 'COUNT', 3, 'STREAMS', 'orders', '>'));
  tell('acknowledged', await redis.xack('orders', 'shop', '2-1', '3-1', '9-9'));
  tell('pending', await redis.xpending('orders', 'shop'));
  const claimed = await redis.xautoclaim('orders', 'shop', 'anna', 0, '0-0', 'COUNT', 10);
  tell('claimed', claimed);
  tell('trimmed', [await redis.xtrim('orders', 'MAXLEN', 2), await redis.xrange('orders', '-', '+')]);

  const popped = other.blpop('queue:a', 'queue:b', 20);
  await redis.rpush('queue:b', 'job');
  tell('waited for one of two lists', await popped);
  const moved = other.blmove('from', 'to', 'LEFT', 'RIGHT', 20);
  await redis.rpush('from', 'x');
  tell('moved', [await moved, await redis.lrange('to', 0, -1)]);
  const popping = other.bzpopmin('ranks', 20);
  await redis.zadd('ranks', 1.5, 'm');
  tell('lowest', await popping);
  tell('waited in vain', await other.blpop('never', 0.05));

  const seen = [];
  for await (const keys of redis.scanStream({ match: 'key:*', count: 50 })) seen.push(...keys);
  tell('scan', [new Set(seen).size, seen.includes('key:123')]);
  const fields = [];
  await redis.hset('big', Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`f${i}`, i])));
  for await (const part of redis.hscanStream('big')) fields.push(...part);
  tell('hscan', fields.length);

  tell('expiry', [await redis.set('short', 1, 'PX', 30), await redis.set('short', 2, 'NX')]);
  await until(async () => !(await redis.exists('short')), 'expiry');
  tell('expired', [await redis.set('short', 2, 'NX', 'EX', 100), await redis.ttl('short')]);
  tell('keys with a prefix', [
    await new Redis(port, { keyPrefix: 'tenant:' }).set('k', 'v'),
    await redis.get('tenant:k'),
  ]);
  tell('dump', [await redis.restore('copy', 0, await redis.dumpBuffer('hash')), await redis.hgetall('copy')]);
  tell('size', await redis.dbsize());
});
