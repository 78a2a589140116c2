import { caseOf, roomOf } from './cases.mjs';
import { checkCopies, sampleOf } from './check.mjs';
import { historyFacts } from './history.mjs';
import { judge } from './requirements.mjs';
import { runCommand } from './run-command.mjs';
import { makeSourceTree, warm } from './source-tree.mjs';
import { historyLine, requirementsTable, timesTable } from './tables.mjs';

/**
 * Runs every case, prints its tables, and answers nothing: the figures are for people.
 * @param contests by name: who takes part, and whose time the others' are compared with
 */
export async function compare(options, workplace, contests, service) {
  const chosen = options.cases.map((name) => caseOf(name, options.scale));
  const willing = willingIn(contests, new Set(chosen.map(({ contest }) => contest)), options);
  await warmUp(workplace, Object.values(willing).flat(), options);
  const trees = sourceTrees(workplace, options);
  for (const data of chosen) {
    const source = trees.of(data);
    const measured = await rounds({ options, workplace, contenders: willing[data.contest], data, source });
    print(data, measured, contests[data.contest].ours);
    if (measured.workflowId !== undefined) await printHistory(await service.get(), measured, data);
  }
}

function willingIn(contests, names, options) {
  return Object.fromEntries([...names].map((name) => [name, contests[name].contenders.filter((contender) => isWilling(contender, options))]));
}

function isWilling(contender, { contenders: chosen }) {
  if (chosen !== undefined && !chosen.includes(contender.key)) return false;
  const reason = contender.missing?.();
  if (reason !== undefined) console.log(`Skipped: ${contender.title}: ${reason}.`);
  return reason === undefined;
}

/** Cases with the same data share one tree: what a case changes in it, it changes for all of its contenders. */
function sourceTrees(workplace, { seed }) {
  const made = new Map();
  return {
    of(data) {
      const name = `${data.files}-${data.sizeBytes.join('-')}`;
      if (!made.has(name)) {
        console.error(`Making ${data.files.toLocaleString('en')} files…`);
        made.set(name, makeSourceTree(workplace.sources, { ...data, name }, seed));
      }
      return made.get(name);
    },
  };
}

/** A small run of each of ours: threads are started and code is compiled, as in a service that is up. */
async function warmUp(workplace, contenders, { seed }) {
  const cold = contenders.filter((contender) => contender.warmUp !== undefined);
  if (cold.length === 0) return;
  const source = makeSourceTree(workplace.sources, { name: 'warm-up', files: 2000, sizeBytes: [100, 5000] }, seed);
  for (const contender of cold) await contender.warmUp({ source, destination: workplace.folder(`destinations/warm-up-${contender.key}`) });
}

async function rounds({ options, workplace, contenders, data, source }) {
  const measured = { timesMs: {}, titles: {} };
  const sample = sampleOf(source, options.seed);
  for (let round = 0; round < options.rounds; round += 1) {
    for (const [place] of contenders.entries()) {
      // Another one is first in every round: what the one before leaves to do meets everybody in turn.
      const contender = contenders[(place + round) % contenders.length];
      if (!workplace.hasRoomFor(2 * roomOf(data))) return stopped(measured, round);
      const name = `${data.name}-${round}-${contender.key}`;
      await one({ contender, measured, source, sample, name, destination: workplace.folder(`destinations/${name}`) });
    }
  }
  return measured;
}

function stopped(measured, round) {
  console.log(`Stopped in round ${round + 1}: the disk is nearly full.`);
  return measured;
}

async function one({ contender, measured, source, sample, name, destination }) {
  await contender.prepare?.({ source, destination });
  warm(source);
  // What others left in the page cache is written now, and not at this one's cost.
  await runCommand('sync', []);
  const heartbeatsBefore = await contender.heartbeats?.();
  const startMs = performance.now();
  const { without, workflowId } = (await contender.run({ source, destination, name })) ?? {};
  const ms = performance.now() - startMs;
  console.error(`  ${name}: ${(ms / 1000).toFixed(2)} s`);
  await (contender.check ?? checkTree)({ contender, source, destination, sample });
  add(measured, contender.key, contender.title, ms);
  if (without !== undefined) add(measured, without.key, without.title, ms - without.ms);
  if (contender.key === 'temporal-device') Object.assign(measured, { workflowId, heartbeats: (await contender.heartbeats()) - heartbeatsBefore });
}

function checkTree({ contender, source, destination, sample }) {
  checkCopies(source, contender.copies({ source, destination }), sample);
}

function add({ timesMs, titles }, key, title, ms) {
  titles[key] = title;
  (timesMs[key] ??= []).push(ms);
}

function print(data, { timesMs, titles }, ours) {
  console.log(`\n### ${data.title}\n\n${timesTable(titles, timesMs, ours)}`);
  const judged = judge(data.name, timesMs);
  if (judged.length > 0) console.log(`\n${requirementsTable(judged)}`);
}

async function printHistory([server], { workflowId, heartbeats }, data) {
  console.log(`\n${historyLine({ ...(await historyFacts(server, workflowId, data.files)), heartbeats })}`);
}
