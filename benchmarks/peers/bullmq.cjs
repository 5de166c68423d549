// BullMQ: addBulk of 500; finished jobs are removed, as its guide for production advises (and as is fastest).
"use strict";
const fs = require("node:fs");
const path = require("node:path");
const { Queue, Worker } = require("bullmq");

const [command, url, number] = process.argv.slice(2);
const address = new URL(url);
const connection = { host: address.hostname, port: Number(address.port), maxRetriesPerRequest: null };
const STEP = 100;

async function submit(jobs) {
  const queue = new Queue("bench", { connection, defaultJobOptions: { removeOnComplete: true, removeOnFail: true } });
  await queue.waitUntilReady();
  const start = process.hrtime.bigint();
  for (let left = jobs; left > 0; left -= 500) {
    await queue.addBulk(Array.from({ length: Math.min(500, left) }, () => ({ name: "noop", data: null })));
  }
  console.log(Number(process.hrtime.bigint() - start) / 1e9);
  await queue.close();
}

function work(concurrency) {
  const tally = path.join(process.env.BENCH_TALLIES, String(process.pid));
  let count = 0;
  new Worker(
    "bench",
    async () => {
      count += 1;
      if (count % STEP === 0) fs.appendFileSync(tally, `${Number(process.hrtime.bigint()) / 1e9} ${STEP}\n`);
    },
    { connection, concurrency },
  );
}

if (command === "submit") submit(Number(number));
else work(Number(number));
