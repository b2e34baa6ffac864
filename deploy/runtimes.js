'use strict';

// The Python runtimes of Lambda that are newer than version 3 of the Serverless Framework, whose schema ends at 3.11. It
// only passes the name on to CloudFormation, so knowing the name is all it takes to deploy with it.
const NEWER = ['python3.12', 'python3.13', 'python3.14'];

// Adds them to the schema of the CLI that runs, if it lacks them: configValidationMode can then be `error` in every CLI.
// Where the CLI has no such schema, there is nothing to add.
function allowNewerRuntimes(serverless) {
  const known = serverless.configSchemaHandler?.schema?.definitions?.awsLambdaRuntime?.enum;
  if (Array.isArray(known)) known.push(...NEWER.filter((runtime) => !known.includes(runtime)));
}

module.exports = { allowNewerRuntimes };
