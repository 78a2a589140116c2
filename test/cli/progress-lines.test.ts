import { ProgressLines, type LineView } from '../../src/cli/progress-lines';

const view = (fields: Partial<LineView>): LineView => ({ state: 'copying', fraction: 0, text: 'copying', waitingFor: null, ...fields });

/** What is printed when a view is offered each half second. */
function printed(views: Iterable<LineView>): string[] {
  const lines = new ProgressLines();
  return [...views].flatMap((each, index) => lines.next(each, index * 500) ?? []);
}

test('a retry each second is a line now and then, and its reason is told once', () => {
  const views = Array.from({ length: 1200 }, (_, index) => view(index % 2 === 0 ? {} : { text: `copying attempt ${index}`, waitingFor: 'No space left' }));
  const lines = printed(views);
  expect(lines.length).toBeLessThanOrEqual(1 + 1 + 60);
  expect(lines.filter((line) => line.includes('No space left'))).toEqual(['copying attempt 1: No space left']);
});

test('reasons that all differ are no more lines', () => {
  const views = Array.from({ length: 1200 }, (_, index) => view({ waitingFor: `/backups/file-${index}: EIO` }));
  expect(printed(views).length).toBeLessThanOrEqual(1 + 60);
});

test('each new state is told at once, and one that comes back is not', () => {
  const states = ['looking', 'copying', 'verifying', 'copying', 'verifying', 'publishing'];
  expect(printed(states.map((state) => view({ state, text: state })))).toEqual(['looking', 'copying', 'verifying', 'publishing']);
});

test('a tenth more is told, though not more than every ten seconds, and a word at least each minute', () => {
  const quick = Array.from({ length: 21 }, (_, index) => view({ fraction: index / 20, text: `${index}` }));
  expect(printed(quick)).toEqual(['0', '20']);
  const slow = Array.from({ length: 241 }, (_, index) => view({ fraction: 0, text: `${index}` }));
  expect(printed(slow)).toEqual(['0', '120', '240']);
});

test('a wait that goes on is told without its reason, and its end too', () => {
  const waiting = Array.from({ length: 121 }, () => view({ waitingFor: 'No space left' }));
  expect(printed([...waiting, ...Array.from({ length: 20 }, () => view({ fraction: 0.01 }))])).toEqual(['copying: No space left', 'copying, still waiting', 'copying']);
});
