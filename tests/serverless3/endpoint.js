'use strict';

// Preloaded into the Serverless Framework 3 (NODE_OPTIONS=--require): its AWS SDK 2 does not know AWS_ENDPOINT_URL, which
// osls and deploy/*.js honour.
const { realpathSync } = require('node:fs');
const { createRequire } = require('node:module');

const [, program] = process.argv;
const sdk = createRequire(realpathSync(program))('aws-sdk');
sdk.config.update({ endpoint: process.env.AWS_ENDPOINT_URL, s3ForcePathStyle: true });
