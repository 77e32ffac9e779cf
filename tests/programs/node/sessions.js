// A web application whose sessions are in the store: express-session over connect-redis.
'use strict';

const http = require('node:http');
const express = require('express');
const session = require('express-session');
const { RedisStore } = require('connect-redis');
const { createClient } = require('redis');
const { port, tell, until, program } = require('./outcome');

program(async () => {
  const client = await createClient({ url: `redis://127.0.0.1:${port}` }).connect();
  const store = new RedisStore({ client, prefix: 'app:', ttl: 600 });
  const app = express();
  app.use(session({ store, secret: 'not so secret', resave: false, saveUninitialized: false, cookie: { maxAge: 600_000 } }));
  app.post('/login/:name', (request, response) => {
    request.session.user = request.params.name;
    response.json('welcome');
  });
  app.get('/', (request, response) => {
    request.session.visits = (request.session.visits || 0) + 1;
    response.json([request.session.user || 'a stranger', request.session.visits]);
  });
  app.post('/renew', (request, response, next) => {
    const { user } = request.session;
    request.session.regenerate((error) => {
      request.session.user = user;
      error ? next(error) : response.json('a new one');
    });
  });
  app.post('/logout', (request, response, next) =>
    request.session.destroy((error) => (error ? next(error) : response.json('bye'))));
  const server = http.createServer(app);
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const root = `http://127.0.0.1:${server.address().port}`;

  class Browser {
    async ask(method, path) {
      const response = await fetch(root + path, { method, headers: this.cookie ? { cookie: this.cookie } : {} });
      const cookie = response.headers.get('set-cookie');
      if (cookie) this.cookie = cookie.split(';')[0];
      return [response.status, await response.json()];
    }
  }

  const [anna, bob] = [new Browser(), new Browser()];
  tell('anna', [await anna.ask('POST', '/login/anna'), await anna.ask('GET', '/'), await anna.ask('GET', '/')]);
  tell('bob', [await bob.ask('GET', '/'), await bob.ask('POST', '/login/bob'), await bob.ask('GET', '/')]);
  const crowd = Array.from({ length: 50 }, () => new Browser());
  await Promise.all(crowd.map((one, i) => one.ask('POST', `/login/guest${i}`)));
  tell('a crowd', (await Promise.all(crowd.map((one) => one.ask('GET', '/')))).map(([, [name]]) => name).join(' '));

  const ids = await new Promise((resolve, reject) => store.ids((e, all) => (e ? reject(e) : resolve(all))));
  const length = await new Promise((resolve, reject) => store.length((e, n) => (e ? reject(e) : resolve(n))));
  tell('sessions', [ids.length, length]);
  const key = await client.keys('app:*').then((keys) => keys[0]);
  const ttl = await client.ttl(key);
  tell('time to live', ttl > 500 && ttl <= 600);

  const before = anna.cookie;
  tell('renewed', [await anna.ask('POST', '/renew'), before !== anna.cookie, await anna.ask('GET', '/')]);
  const stale = new Browser();
  stale.cookie = before;
  tell('the old cookie', await stale.ask('GET', '/'));
  tell('logged out', [await bob.ask('POST', '/logout'), await bob.ask('GET', '/')]);

  // A session ends by itself.
  const guest = new Browser();
  await guest.ask('POST', '/login/short');
  const id = decodeURIComponent(guest.cookie).split('s:')[1].split('.')[0];
  await client.pExpire(`app:${id}`, 30);
  await until(async () => !(await client.exists(`app:${id}`)), 'expiry');
  tell('expired', await guest.ask('GET', '/'));
  await new Promise((resolve, reject) => store.clear((error) => (error ? reject(error) : resolve())));
  tell('cleared', [await client.dbSize(), await anna.ask('GET', '/')]);
  server.close();
});
