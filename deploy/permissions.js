'use strict';

// The permission to read just those parameters and secrets that the configuration refers to.

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
  const through = { 'kms:ViaService': ['ssm.*.amazonaws.com', 'secretsmanager.*.amazonaws.com'] };
  return { Effect: 'Allow', Action: ['kms:Decrypt'], Resource: keyArns, Condition: { StringLike: through } };
}

module.exports = { secretStatements };
