// Lints samples, given as JSON [{ file, sample }] on standard input, in place of files of the project; prints the rules
// that each breaks. A process of its own, since the test runner cannot load the configuration, which is an ES module.
import { ESLint } from 'eslint';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../..');
const eslint = new ESLint({
  cwd: root,
  // In continuous integration the parser would read the file itself instead of the sample.
  overrideConfig: { languageOptions: { parserOptions: { disallowAutomaticSingleRunInference: true } } },
});

const broken = [];
for (const { file, sample } of JSON.parse(readFileSync(0, 'utf8'))) {
  const [{ messages }] = await eslint.lintText(`${sample}\n`, { filePath: resolve(root, file) });
  broken.push(messages.map(({ ruleId, message }) => ruleId ?? message));
}
console.log(JSON.stringify(broken));
