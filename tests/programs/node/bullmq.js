// BullMQ: several workers, retries with delays, priorities, delayed and repeated jobs, a flow, events, rate limits.
'use strict';

const { Queue, Worker, QueueEvents, FlowProducer, UnrecoverableError } = require('bullmq');
const { port, tell, until, program } = require('./outcome');

const connection = { host: '127.0.0.1', port, maxRetriesPerRequest: null };
const options = { connection, prefix: '{jobs}' };

program(async () => {
  const queue = new Queue('work', options);
  const events = new QueueEvents('work', options);
  await events.waitUntilReady();
  const counts = {};
  for (const name of ['completed', 'failed', 'retries-exhausted', 'removed', 'paused', 'resumed', 'drained'])
    events.on(name, () => (counts[name] = (counts[name] || 0) + 1));

  // Jobs of three workers at once; some fail once, some always.
  const attempts = {};
  const work = async (job) => {
    attempts[job.name] = (attempts[job.name] || 0) + 1;
    await job.updateProgress(50);
    await job.log('half way');
    if (job.data.fails >= job.attemptsMade + 1) throw new Error(`attempt ${job.attemptsMade + 1}`);
    if (job.data.hopeless) throw new UnrecoverableError('never');
    return { twice: job.data.n * 2 };
  };
  const workers = [1, 2, 3].map(() => new Worker('work', work, { ...options, concurrency: 4 }));
  const jobs = await queue.addBulk(
    Array.from({ length: 60 }, (_, n) => ({ name: `job ${n}`, data: { n }, opts: { jobId: `id-${n}` } })),
  );
  tell('added', [jobs.length, (await queue.add('again', { n: 0 }, { jobId: 'id-7' })).id]);
  const results = await Promise.all(jobs.map((job) => job.waitUntilFinished(events, 30_000)));
  tell('results', results.reduce((sum, { twice }) => sum + twice, 0));
  const flaky = await queue.add('flaky', { n: 1, fails: 2 }, { attempts: 3, backoff: { type: 'exponential', delay: 20 } });
  tell('a job that failed twice', [await flaky.waitUntilFinished(events, 30_000), attempts.flaky]);
  const lost = await queue.add('lost', { n: 1, fails: 9 }, { attempts: 2, backoff: 10 });
  tell('a job that fails', await lost.waitUntilFinished(events, 30_000).catch((e) => e.message));
  const hopeless = await queue.add('hopeless', { n: 1, hopeless: true }, { attempts: 5 });
  tell('a job that is not tried again', [await hopeless.waitUntilFinished(events, 30_000).catch((e) => e.message), attempts.hopeless]);
  const failed = await queue.getFailed();
  tell('failed', failed.map(({ name, attemptsMade, failedReason }) => [name, attemptsMade, failedReason]).sort());
  const one = await queue.getJob('id-3');
  tell('one job', [one.name, one.data, one.progress, one.returnvalue, await one.getState(), (await queue.getJobLogs('id-3')).logs]);
  tell('counts', await queue.getJobCounts('waiting', 'active', 'completed', 'failed', 'delayed', 'prioritized', 'paused'));

  const later = await queue.add('later', { n: 5 }, { delay: 150 });
  tell('a delayed job', [await later.getState(), await later.waitUntilFinished(events, 30_000), (await queue.getJob(later.id)).finishedOn - later.timestamp >= 150]);
  const sooner = await queue.add('sooner', { n: 6 }, { delay: 1_000_000 });
  await sooner.promote();
  tell('a promoted job', await sooner.waitUntilFinished(events, 30_000));
  const again = (await queue.getFailed()).find(({ name }) => name === 'lost');
  await again.updateData({ n: 21 });
  await again.retry('failed');
  tell('a job tried by hand', await again.waitUntilFinished(events, 30_000));

  await queue.upsertJobScheduler('clock', { every: 40, limit: 3 }, { name: 'tick', data: { n: 1 } });
  await until(() => attempts.tick >= 3, 'three ticks');
  await until(async () => (await queue.getJobSchedulersCount()) === 0 || (await queue.getDelayedCount()) === 0, 'no further ticks');
  tell('a repeated job', attempts.tick);
  tell('a scheduler', [
    Boolean(await queue.upsertJobScheduler('daily', { pattern: '0 3 * * *', tz: 'UTC' }, { name: 'night' })),
    (await queue.getJobScheduler('daily')).pattern,
    await queue.getDelayedCount(),
    await queue.removeJobScheduler('daily'),
    await queue.getDelayedCount(),
  ]);
  await until(() => counts.completed >= 67, 'events');
  tell('events', [counts.completed, counts.failed, counts['retries-exhausted']]);
  await Promise.all(workers.map((worker) => worker.close()));

  // Priorities: one worker, jobs added while the queue is paused.
  await queue.pause();
  for (const [name, priority] of [['low', 100], ['high', 1], ['middle', 10], ['none', 0], ['high too', 1]])
    await queue.add(name, {}, { priority });
  await queue.add('first of all', {}, { lifo: true });
  tell('paused', [await queue.isPaused(), await queue.getJobCounts('paused', 'prioritized', 'waiting'), await queue.getCountsPerPriority([0, 1, 10])]);
  const order = [];
  const single = new Worker('work', async (job) => void order.push(job.name), options);
  await queue.resume();
  await until(() => order.length === 6, 'six jobs');
  tell('order', order);
  await single.close();

  // A limited queue: two jobs each 200 ms.
  const limited = new Queue('limited', options);
  const times = [];
  await limited.addBulk(Array.from({ length: 5 }, (_, n) => ({ name: `${n}`, data: {} })));
  const slow = new Worker('limited', async () => void times.push(Date.now()), { ...options, limiter: { max: 2, duration: 200 } });
  await until(() => times.length === 5, 'five jobs');
  tell('limited', times[4] - times[0] >= 300);
  await slow.close();

  // A tree of jobs: the parent runs when the children have ended.
  const flow = new FlowProducer(options);
  const tree = await flow.add({
    name: 'sum', queueName: 'parents', data: {},
    children: [1, 2, 3].map((n) => ({ name: `child ${n}`, queueName: 'children', data: { n } })),
  });
  const children = new Worker('children', async (job) => job.data.n * 10, options);
  const parents = new Worker('parents', async (job) => Object.values(await job.getChildrenValues()).sort(), options);
  const parentEvents = new QueueEvents('parents', options);
  tell('a flow', await tree.job.waitUntilFinished(parentEvents, 30_000));
  await Promise.all([children.close(), parents.close(), parentEvents.close(), flow.close()]);

  tell('cleaned', [(await queue.clean(0, 1000, 'completed')).length, await queue.getCompletedCount()]);
  await queue.obliterate({ force: true });
  await limited.obliterate({ force: true });
  tell('nothing is left', await queue.getJobCounts());
  await Promise.all([events.close(), queue.close(), limited.close()]);
});
