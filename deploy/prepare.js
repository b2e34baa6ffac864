'use strict';

// What has to happen before the Serverless CLI packages, so that one `deploy` does on a fresh clone: build the layer,
// refuse wrong settings, subscribe ALERT_EMAILS and OPERATOR_EMAILS, watch the services that are to be watched, and
// permit the function just what the configuration refers to or turns on.

const { spawnSync } = require('node:child_process');
const { createHash } = require('node:crypto');
const { readFileSync } = require('node:fs');
const path = require('node:path');

const ADDRESS = /^[^\s@,;<>"]+@[^\s@,;<>"]+\.[^\s@,;<>"]+$/;
const COMMENT = /^\s*#.*$/gm;
const SERVICE = /^[\w-]{1,255}\/[\w-]{1,255}$/;
const REFERENCE = /^(ssm|secretsmanager):([^#]+)/;

class Prepare {
  constructor(serverless, _options, { log }) {
    this.serverless = serverless;
    this.log = log;
    this.hooks = { 'before:package:initialize': () => this.prepare() };
  }

  prepare() {
    const { service } = this.serverless;
    const alerts = this.addresses('ALERT_EMAILS');
    const operators = this.addresses('OPERATOR_EMAILS');
    Object.assign(
      service.resources.Resources,
      subscriptions('AlertsTopic', alerts),
      subscriptions('OperatorsTopic', operators.length ? operators : alerts),
      this.runningTasksAlarms(service.custom ?? {}),
    );
    service.provider.iam.role.statements.push(...this.secretStatements(service.provider.environment));

    const python = this.run(this.file('layer', 'find-python'), []).trim();
    this.run(python, [this.file('layer', 'build.py')]);
    const settings = checkedSettings(service.provider.environment, alerts);
    const on = JSON.parse(this.run(python, [this.file('deploy', 'check_config.py')], settings));
    service.provider.iam.role.statements.push(...enrichStatements(on));
  }

  addresses(variable) {
    const values = (process.env[variable] ?? '').split(',').map((value) => value.trim());
    const addresses = [...new Set(values.filter(Boolean))];
    const wrong = addresses.filter((address) => !ADDRESS.test(address));
    if (wrong.length) throw this.error(`${variable}: not an email address: ${wrong.join(', ')}`);
    return addresses;
  }

  secretStatements(environment) {
    const config = readFileSync(this.file(environment.ALERT_ROUTER_CONFIG), 'utf8');
    const literals = config.replace(COMMENT, '').match(/"[^"\n]*"|'[^'\n]*'/g) ?? [];
    const values = [...literals.map((literal) => literal.slice(1, -1)), ...Object.values(environment)];
    const references = values.map((value) => REFERENCE.exec(String(value).trim())).filter(Boolean);
    return ['ssm', 'secretsmanager'].flatMap((service) => {
      const names = references.filter((reference) => reference[1] === service).map((reference) => reference[2]);
      return names.length ? [readStatement(service, [...new Set(names)].sort())] : [];
    });
  }

  runningTasksAlarms({ watchedServices = [], alarmNamePrefix }) {
    const wrong = watchedServices.filter((name) => !SERVICE.test(name));
    if (wrong.length) throw this.error(`custom.watchedServices: not CLUSTER/SERVICE: ${wrong.join(', ')}`);
    const stage = this.serverless.getProvider('aws').getStage();
    return Object.fromEntries(
      [...new Set(watchedServices)].map((name) => runningTasksAlarm(`${alarmNamePrefix}running-tasks-${stage}`, name)),
    );
  }

  file(...names) {
    return path.join(this.serverless.serviceDir, ...names);
  }

  run(command, words, settings = {}) {
    const result = spawnSync(command, words, {
      cwd: this.serverless.serviceDir,
      env: { ...process.env, ...settings },
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    if (result.status !== 0) throw this.error((result.stderr || String(result.error)).trim());
    if (result.stderr) this.log.notice(result.stderr.trim());
    return result.stdout;
  }

  error(message) {
    return new this.serverless.classes.Error(message);
  }
}

// The function's settings as far as they are known by now. The topic is not; without an address nobody hears it, and
// then the email channel counts as unset.
function checkedSettings(environment, alerts) {
  const known = Object.entries(environment).filter(([, value]) => typeof value === 'string');
  const topic = alerts.length ? 'arn:aws:sns:us-east-1:000000000000:alerts' : '';
  return { ...Object.fromEntries(known), SNS_TOPIC_ARN: topic };
}

function subscriptions(topic, addresses) {
  return Object.fromEntries(
    addresses.map((address) => [
      // Named by the address, not by its place in the list: a change of order must not subscribe anybody anew.
      `${topic}Email${createHash('sha256').update(address).digest('hex').slice(0, 12)}`,
      { Type: 'AWS::SNS::Subscription', Properties: { Protocol: 'email', Endpoint: address, TopicArn: { Ref: topic } } },
    ]),
  );
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

// Goes off when fewer tasks run than are desired, five minutes long: no event says that nothing happens. The metrics are
// Container Insights'; without it the alarm has no data and is silent.
function runningTasksAlarm(prefix, name) {
  const [cluster, service] = name.split('/');
  const metric = (Id, MetricName) => ({
    Id,
    MetricStat: {
      Metric: {
        Namespace: 'ECS/ContainerInsights',
        MetricName,
        Dimensions: [{ Name: 'ClusterName', Value: cluster }, { Name: 'ServiceName', Value: service }],
      },
      Period: 60, // seconds
      Stat: 'Average',
    },
    ReturnData: false,
  });
  const Properties = {
    AlarmName: `${prefix}-${cluster}-${service}`,
    AlarmDescription: `Fewer tasks of ${name} run than are desired`,
    Metrics: [
      metric('running', 'RunningTaskCount'),
      metric('desired', 'DesiredTaskCount'),
      { Id: 'missing', Label: 'Missing tasks', Expression: 'desired - FILL(running, 0)', ReturnData: true },
    ],
    ComparisonOperator: 'GreaterThanThreshold',
    Threshold: 0,
    EvaluationPeriods: 5,
    TreatMissingData: 'missing',
  };
  const id = `RunningTasks${createHash('sha256').update(name).digest('hex').slice(0, 12)}`;
  return [id, { Type: 'AWS::CloudWatch::Alarm', Properties }];
}

module.exports = Prepare;
