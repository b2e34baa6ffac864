'use strict';

// Prints the event patterns for several settings, by deploy/patterns.js: node release/patterns.js < REQUEST

const { readFileSync } = require('node:fs');

const { patterns } = require('../deploy/patterns');

const { resources, variants } = JSON.parse(readFileSync(0, 'utf8'));
process.stdout.write(JSON.stringify(variants.map((settings) => patterns(resources, settings))));
