'use strict';

// The permissions that depend on the configuration: to read the parameters and secrets that it refers to, and to call what
// it turns on.

const COMMENT = /^\s*#.*$/gm;
const REFERENCE = /^(ssm|secretsmanager):([^#]+)/;

// `config` is the text of alert-router.toml, `environment` the function's environment, and `keyArns` the customer managed
// keys that encrypt secrets; AWS managed keys need no permission.
function secretStatements(config, environment, keyArns) {
  const literals = config.replace(COMMENT, '').match(/"[^"\n]*"|'[^'\n]*'/g) ?? [];
  const values = [...literals.map((literal) => literal.slice(1, -1)), ...Object.values(environment)];
  const references = values.map((value) => REFERENCE.exec(String(value).trim())).filter(Boolean);
  const statements = ['ssm', 'secretsmanager'].flatMap((service) => {
    const names = references.filter((reference) => reference[1] === service).map((reference) => reference[2].trim());
    return names.length ? [readStatement(service, [...new Set(names)].sort())] : [];
  });
  return statements.length && keyArns.length ? [...statements, decryptStatement(keyArns)] : statements;
}

function readStatement(service, names) {
  const arn = (resource) => ({ 'Fn::Sub': `arn:\${AWS::Partition}:${service}:\${AWS::Region}:\${AWS::AccountId}:${resource}` });
  if (service === 'ssm') {
    const parameters = names.map((name) => arn(`parameter/${name.replace(/^\//, '')}`));
    return { Effect: 'Allow', Action: ['ssm:GetParameter'], Resource: parameters };
  }
  // Secrets Manager appends a hyphen and six random characters to each secret's ARN.
  const secrets = names.map((name) => arn(`secret:${name}-??????`));
  return { Effect: 'Allow', Action: ['secretsmanager:GetSecretValue'], Resource: secrets };
}

function decryptStatement(keyArns) {
  const through = { 'kms:ViaService': ['ssm.*.amazonaws.com*', 'secretsmanager.*.amazonaws.com*'] };
  return { Effect: 'Allow', Action: ['kms:Decrypt'], Resource: keyArns, Condition: { StringLike: through } };
}

// What `[enrich]` of alert-router.toml turns on, and nothing else.
function enrichStatements({ taskDefinition, logGroups }) {
  const statements = [];
  // This action does not support resource-level permissions.
  if (taskDefinition) statements.push({ Effect: 'Allow', Action: ['ecs:DescribeTaskDefinition'], Resource: '*' });
  const streams = (group) => ({ 'Fn::Sub': `arn:\${AWS::Partition}:logs:*:\${AWS::AccountId}:log-group:${group}:log-stream:*` });
  if (logGroups.length) {
    statements.push({ Effect: 'Allow', Action: ['logs:GetLogEvents'], Resource: logGroups.map(streams) });
  }
  return statements;
}

// What `[poll]` and `[[expect]]` of alert-router.toml turn on beyond the verification, which serverless.yml permits. Listing
// supports no resources but container instances, which Fargate does not have.
function pollStatements({ services, expect }) {
  const actions = [...(services ? ['ecs:ListClusters', 'ecs:ListServices'] : []), ...(expect ? ['ecs:ListTasks'] : [])];
  return actions.length ? [{ Effect: 'Allow', Action: actions, Resource: '*' }] : [];
}

// The topics that channels name besides the stack's own. If a topic is encrypted, its key's policy must allow the role.
function topicStatements({ topics }) {
  return topics.length ? [{ Effect: 'Allow', Action: ['sns:Publish'], Resource: topics }] : [];
}

// The event buses that channels name. The resource policy of a bus of another account must allow this account.
function busStatements({ buses }) {
  return buses.length ? [{ Effect: 'Allow', Action: ['events:PutEvents'], Resource: buses }] : [];
}

// The addresses that channels send from. The identity may be the address or its domain, SES also asks for its default
// configuration set, and, in the sandbox, for the identities of the recipients; so the sender alone is named.
function senderStatements({ senders }) {
  const arn = (resource) => ({ 'Fn::Sub': `arn:\${AWS::Partition}:ses:\${AWS::Region}:\${AWS::AccountId}:${resource}` });
  const statement = {
    Effect: 'Allow',
    Action: ['ses:SendEmail', 'ses:SendRawEmail'],
    Resource: [arn('identity/*'), arn('configuration-set/*')],
    Condition: { StringEquals: { 'ses:FromAddress': senders } },
  };
  return senders.length ? [statement] : [];
}

// The permissions of channels that call AWS.
function channelStatements(needs) {
  return [...topicStatements(needs), ...busStatements(needs), ...senderStatements(needs)];
}

module.exports = { channelStatements, enrichStatements, pollStatements, secretStatements };
