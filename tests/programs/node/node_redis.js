// node-redis over RESP3: types of replies, client-side caching, WATCH, iterators, subscriptions on the same connection.
'use strict';

const { createClient, WatchError, RESP_TYPES } = require('redis');
const { port, tell, refused, until, program } = require('./outcome');

const sorted = (items) => [...items].sort();

program(async () => {
  const url = `redis://127.0.0.1:${port}`;
  const client = await createClient({ url, RESP: 3 }).connect();
  const other = await createClient({ url, RESP: 3 }).connect();

  tell('strings', [await client.set('a', '1', { EX: 100 }), await client.get('a'), await client.getDel('a'), await client.get('a')]);
  tell('hash', [await client.hSet('h', { x: '1', y: 'two' }), await client.hGetAll('h'), await client.hmGet('h', ['y', 'z'])]);
  tell('scores', [
    await client.zAdd('z', [{ score: 1.5, value: 'a' }, { score: Infinity, value: 'b' }, { score: -0.25, value: 'c' }]),
    await client.zScore('z', 'a'),
    String(await client.zScore('z', 'b')),
    await client.zRangeWithScores('z', 0, 1),
    await client.zmScore('z', ['a', 'none']),
    await client.zIncrBy('z', 0.5, 'c'),
  ]);
  tell('sets', [await client.sAdd('s', ['x', 'y', 'z']), sorted(await client.sMembers('s')), await client.smIsMember('s', ['x', 'q'])]);
  const bytes = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
  await client.set('bytes', Buffer.from([0, 1, 254, 13, 10]));
  tell('bytes', [...(await bytes.get('bytes'))]);
  const maps = client.withTypeMapping({ [RESP_TYPES.MAP]: Map });
  tell('a map', (await maps.hGetAll('h')) instanceof Map);
  tell('geo', [
    await client.geoAdd('places', [{ longitude: 13.361389, latitude: 38.115556, member: 'Palermo' }, { longitude: 15.087269, latitude: 37.502669, member: 'Catania' }]),
    await client.geoDist('places', 'Palermo', 'Catania', 'km'),
    await client.geoSearchWith('places', { longitude: 15, latitude: 37 }, { radius: 200, unit: 'km' }, ['WITHDIST', 'WITHCOORD']),
  ]);
  tell('lengths', [await client.lcs('a1', 'a2'), await client.pfAdd('hll', ['a', 'b', 'c']), await client.pfCount('hll'), await client.bitCount('bytes')]);
  tell('wrong type', await refused(client.lPush('h', 'x')));

  tell('multi', await client.multi().set('m', '1').incr('m').hGetAll('h').zRangeWithScores('z', 0, 0).exec());
  const failed = await client.multi().set('m', 'text').incr('m').get('m').execAsPipeline().catch((e) => e.constructor.name);
  tell('a pipeline that fails in part', failed);
  tell('a transaction that fails in part', await client.multi().incr('m').get('m').exec().catch((e) => [e.constructor.name, e.replies.map(String), e.errorIndexes]));
  await client.watch('watched');
  await other.set('watched', 'x');
  tell('watched', await client.multi().get('m').exec().catch((e) => e instanceof WatchError));

  const counted = [];
  await Promise.all(Array.from({ length: 300 }, (_, i) => client.set(`scan:${i}`, String(i))));
  for await (const keys of client.scanIterator({ MATCH: 'scan:*', COUNT: 20 })) counted.push(...keys);
  tell('scan', [counted.length >= 300, new Set(counted).size]);
  await client.hSet('large', Object.fromEntries(Array.from({ length: 700 }, (_, i) => [`f${i}`, String(i)])));
  const fields = new Set();
  for await (const entries of client.hScanIterator('large', { COUNT: 50 })) for (const { field } of entries) fields.add(field);
  tell('hscan', fields.size);
  const scores = new Map();
  await client.zAdd('board', Array.from({ length: 600 }, (_, i) => ({ score: i / 4, value: `p${i}` })));
  for await (const members of client.zScanIterator('board')) for (const { value, score } of members) scores.set(value, score);
  tell('zscan', [scores.size, scores.get('p599')]);

  const heard = [];
  await client.subscribe('news', (message, channel) => heard.push([channel, message]));
  await client.pSubscribe('n*', (message, channel) => heard.push(['by pattern', channel, message]));
  await client.sSubscribe('shard', (message, channel) => heard.push(['of the shard', channel, message]));
  tell('published', [await other.publish('news', 'hello'), await other.sPublish('shard', 'there')]);
  tell('asks while subscribed', await client.get('m'));
  await until(() => heard.length === 3, 'messages');
  tell('heard', heard.sort());
  tell('channels', [sorted(await other.pubSubChannels()), await other.pubSubNumPat(), await other.pubSubNumSub(['news', 'none'])]);
  await client.unsubscribe('news');
  await client.pUnsubscribe('n*');
  tell('published to nobody', await other.publish('news', 'again'));

  await client.xGroupCreate('events', 'readers', '0', { MKSTREAM: true });
  for (let i = 1; i < 5; i++) await client.xAdd('events', `${i}-0`, { n: String(i) });
  tell('group', await client.xReadGroup('readers', 'one', { key: 'events', id: '>' }, { COUNT: 2 }));
  tell('pending', await client.xPendingRange('events', 'readers', '-', '+', 10).then((all) => all.map(({ id, consumer, deliveriesCounter }) => [id, consumer, deliveriesCounter])));
  tell('acknowledged', await client.xAck('events', 'readers', ['1-0']));
  tell('groups', await client.xInfoGroups('events'));
  tell('range', await client.xRevRange('events', '+', '-', { COUNT: 2 }));
  const waiting = other.blPop('jobs', 20);
  await until(async () => (await client.info('clients')).includes('blocked_clients:1'), 'a client that waits');
  await client.rPush('jobs', 'work');
  tell('waited', await waiting);

  tell('function', [
    await client.functionLoad("#!lua name=lib\nredis.register_function('twice', function(keys, args) return args[1] * 2 end)", { REPLACE: true }),
    await client.fCall('twice', { keys: [], arguments: ['21'] }),
    (await client.functionList({ LIBRARYNAME: 'lib' })).map(({ library_name, engine }) => [library_name, engine]),
    await refused(client.fCall('thrice', { keys: [], arguments: ['1'] })),
  ]);
  tell('script', await client.eval('redis.setresp(3); return {redis.call("HGETALL", KEYS[1]), 3.9, false, true}', { keys: ['h'], arguments: [] }));

  // Client-side caching: what was read is answered from memory until another client changes it.
  const caching = await createClient({ url, RESP: 3, clientSideCache: { ttl: 0, maxEntries: 100, evictPolicy: 'LRU' } }).connect();
  const cached = async () => {
    const before = (await other.info('commandstats')).match(/cmdstat_get:calls=(\d+)/)[1];
    const value = await caching.get('cached');
    const after = (await other.info('commandstats')).match(/cmdstat_get:calls=(\d+)/)[1];
    return [value, after - before];
  };
  await other.set('cached', 'one');
  tell('cache', [await cached(), await cached()]);
  await other.set('cached', 'two');
  await until(async () => (await caching.get('cached')) === 'two', 'an invalidation');
  tell('cache after a change', [await cached(), await cached()]);
  await other.flushAll();
  await until(async () => (await caching.get('cached')) === null, 'an invalidation of all');
  tell('cache after a flush', await cached());

  tell('who', [(await client.hello(3)).proto, await client.clientSetName('me'), await client.clientGetName()]);
  tell('config', [await client.configSet('maxmemory-policy', 'allkeys-lru'), await client.configGet('maxmemory-polic*')]);
  tell('acl', [
    await client.aclSetUser('reader', ['on', '>secret', '+@read', '~public:*']),
    await createClient({ url, username: 'reader', password: 'secret' }).connect().then(async (reader) => [
      await reader.get('public:x'),
      await refused(reader.get('private')),
      await refused(reader.set('public:x', '1')),
    ]),
  ]);
});
