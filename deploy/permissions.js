'use strict';

// The permissions that the configuration decides: to read just those parameters and secrets that it refers to, and what
// it turns on.

const COMMENT = /^\s*#.*$/gm;
const REFERENCE = /^(ssm|secretsmanager):([^#]+)/;

// `config` is the text of alert-router.toml, `environment` the function's, `keyArns` the customer managed keys under
// which secrets lie; AWS's own keys need no permission.
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
  // Secrets Manager ends each secret's ARN with a hyphen and six characters of its own.
  const secrets = names.map((name) => arn(`secret:${name}-??????`));
  return { Effect: 'Allow', Action: ['secretsmanager:GetSecretValue'], Resource: secrets };
}

function decryptStatement(keyArns) {
  const through = { 'kms:ViaService': ['ssm.*.amazonaws.com*', 'secretsmanager.*.amazonaws.com*'] };
  return { Effect: 'Allow', Action: ['kms:Decrypt'], Resource: keyArns, Condition: { StringLike: through } };
}

// Exactly what `[enrich]` of alert-router.toml turns on.
function enrichStatements({ taskDefinition, logGroups }) {
  const statements = [];
  // IAM knows no resource for this action.
  if (taskDefinition) statements.push({ Effect: 'Allow', Action: ['ecs:DescribeTaskDefinition'], Resource: '*' });
  const streams = (group) => ({ 'Fn::Sub': `arn:\${AWS::Partition}:logs:*:\${AWS::AccountId}:log-group:${group}:log-stream:*` });
  if (logGroups.length) {
    statements.push({ Effect: 'Allow', Action: ['logs:GetLogEvents'], Resource: logGroups.map(streams) });
  }
  return statements;
}

module.exports = { enrichStatements, secretStatements };
