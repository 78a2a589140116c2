import { growthCases, roomOf } from './cases.mjs';
import { historyFacts } from './history.mjs';
import { peakMemoryMib } from './machine.mjs';
import { makeSourceTree } from './source-tree.mjs';
import { checkCopies, sampleOf } from './check.mjs';
import { growthTable } from './tables.mjs';
import { runBatch, startServer, startWorker } from './temporal.mjs';
import { join } from 'node:path';

/** How time and memory grow with the number of files: a fresh worker for each, so that its peak is its own. */
export async function measureGrowth(options, workplace) {
  const server = await startServer(workplace);
  const rows = [];
  try {
    for (const data of growthCases) {
      const scaled = { ...data, files: Math.round(data.files * options.scale) };
      if (!workplace.hasRoomFor(2 * roomOf(scaled))) {
        console.log(`Skipped: ${data.title}: the disk has no room for them.`);
        continue;
      }
      rows.push(await measure(workplace, server, scaled, options));
    }
  } finally {
    await server.stop();
  }
  console.log(`\n### Growth: tiny files, through Temporal, verified from the device\n\n${growthTable(rows)}`);
}

async function measure(workplace, server, data, { seed }) {
  console.error(`Making ${data.title}…`);
  const source = makeSourceTree(workplace.sources, data, seed);
  const destination = workplace.folder(`destinations/${data.name}`);
  const worker = await startWorker(workplace, server);
  try {
    const startMs = performance.now();
    const { workflowId, output } = await runBatch(server, worker, { list: source.lists.nul, destination, verifyFrom: 'device' });
    const ms = performance.now() - startMs;
    const peakMib = peakMemoryMib(worker.processId);
    if (!output.success) throw new Error(`The batch failed: ${JSON.stringify(output).slice(0, 500)}`);
    checkCopies(source, join(destination, source.directory), sampleOf(source, seed));
    console.error(`  ${data.name}: ${(ms / 1000).toFixed(1)} s, ${peakMib.toFixed(0)} MiB`);
    return { files: data.files, ms, peakMib, ...(await historyFacts(server, workflowId, data.files)) };
  } finally {
    await worker.stop();
  }
}
