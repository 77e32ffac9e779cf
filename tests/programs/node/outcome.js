// What the programs share: where the server is, and how an outcome is told.
'use strict';

const port = Number(process.argv[2]);

// One line of JSON; keys of objects in order, so that the order in which a server names fields is no difference.
function tell(name, value) {
  const sorted = (_, v) =>
    v && typeof v === 'object' && !Array.isArray(v) && !Buffer.isBuffer(v)
      ? Object.fromEntries(Object.entries(v).sort(([a], [b]) => (a < b ? -1 : 1)))
      : v;
  console.log(JSON.stringify([name, value === undefined ? null : value], sorted));
}

// The message of what was thrown; it must be.
async function refused(promise) {
  try {
    await promise;
  } catch (error) {
    return error.message;
  }
  throw new Error('this was to be refused');
}

// Waits until `condition` holds, and gives what it gave.
async function until(condition, what) {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function program(main) {
  main().then(
    () => {
      tell('done', true);
      process.exit(0);
    },
    (error) => {
      console.error(error);
      process.exit(1);
    },
  );
}

module.exports = { port, tell, refused, until, program };
