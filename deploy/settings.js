'use strict';

// Reads and checks the values from the deploying shell, and reports every invalid one.

const ADDRESS = /^[^\s@,;<>"]+@[^\s@,;<>"]+\.[^\s@,;<>"]+$/;
const CLUSTER = /^[A-Za-z0-9_*-]{1,255}$/;
const SERVICE = /^[\w-]{1,255}\/[\w-]{1,255}$/;
const SENDER = /^([0-9]{12}|o-[a-z0-9]{10,32})$/;
const SCHEDULE = /^(rate\([1-9][0-9]* (minute|hour|day)s?\)|cron\([^()]+\))$/;
const KEY = /^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key\/[A-Za-z0-9-]+$/;
const TABLE = /^[A-Za-z0-9_.-]{3,255}$/;
const BOUNDARY = /^arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy\/\S+$/;
const ROLE_PATH = /^\/([\w+=,.@-]+\/)*$/;
const TAG = /^(?!aws:)[^=]{1,128}=.{0,256}$/i;
const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
const SUBNET = /^subnet-[0-9a-f]{8,17}$/;
const SECURITY_GROUP = /^sg-[0-9a-f]{8,17}$/;
const NOT_PRODUCTION = ['dev', 'test', 'local']; // stages, unless PRODUCTION says otherwise
// The retention periods that CloudWatch Logs supports, in days (PutRetentionPolicy).
const DAYS = [
  1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
];

// The settings and their problems, each with the name of its variable. `values` is custom.settings of serverless.yml; the
// addresses come only from the environment.
function read(values, environment, stage) {
  const problems = [];
  const text = (key) => String(values[key] ?? '').trim();
  const problem = (variable, message) => problems.push(`${variable}: ${message}`);
  const checked = (variable, value, pattern, requirement) => {
    if (value && !pattern.test(value)) problem(variable, `${requirement}, not ${JSON.stringify(value)}`);
    return value;
  };
  const list = (variable, value, pattern, complaint) => {
    const items = [...new Set(value.split(',').map((item) => item.trim()).filter(Boolean))];
    const invalid = items.filter((item) => !pattern.test(item));
    if (invalid.length) problem(variable, `${complaint}: ${invalid.join(', ')}`);
    return items;
  };
  const flag = (variable, value, byDefault) => {
    const setting = { '': byDefault, true: true, on: true, false: false, off: false }[value.toLowerCase()];
    if (setting === undefined) problem(variable, `must be on or off, not ${JSON.stringify(value)}`);
    return setting;
  };
  const addresses = (variable) => list(variable, environment[variable] ?? '', ADDRESS, 'not an email address');

  const choice = (variable, value, byDefault, choices) => {
    if (value && !choices.includes(value)) problem(variable, `must be ${choices.join(' or ')}, not ${JSON.stringify(value)}`);
    return value || byDefault;
  };

  const alerts = addresses('ALERT_EMAILS');
  const operators = addresses('OPERATOR_EMAILS');
  const alarmNamePrefix = text('alarmNamePrefix') || 'ecs-'; // an empty prefix would match every alarm
  if (`alert-router-${stage}-`.startsWith(alarmNamePrefix)) {
    problem('ALARM_NAME_PREFIX', `the names of the router's own alarms also start with ${JSON.stringify(alarmNamePrefix)}`);
  }
  const days = text('eventLogDays');
  if (days && !DAYS.includes(Number(days))) {
    problem('EVENT_LOG_DAYS', `must be one of ${DAYS.join(', ')}, not ${JSON.stringify(days)}`);
  }
  const schedule = text('heartbeat');
  const heartbeat = schedule.toLowerCase() !== 'off' && (schedule || 'cron(0 9 ? * MON *)');
  if (heartbeat) checked('HEARTBEAT_SCHEDULE', heartbeat, SCHEDULE, 'must be rate(…), cron(…) or off');
  const production = flag('PRODUCTION', text('production'), !NOT_PRODUCTION.includes(stage));
  const lean = choice('PROFILE', text('profile'), '', ['lean']) === 'lean';
  const subnets = list('VPC_SUBNETS', text('vpcSubnets'), SUBNET, 'not the id of a subnet');
  const securityGroups = list('VPC_SECURITY_GROUPS', text('vpcSecurityGroups'), SECURITY_GROUP, 'not the id of a security group');
  if (subnets.length && !securityGroups.length) problem('VPC_SECURITY_GROUPS', 'must be set, because VPC_SUBNETS is');
  if (securityGroups.length && !subnets.length) problem('VPC_SUBNETS', 'must be set, because VPC_SECURITY_GROUPS is');
  const tags = list('STACK_TAGS', text('tags'), TAG, 'not KEY=VALUE').map((tag) => tag.split(/=(.*)/s).slice(0, 2));
  const settings = {
    alerts,
    operators: operators.length ? operators : alerts,
    alarmNamePrefix,
    codeDeployPrefix: text('codeDeployPrefix') || 'AppECS-',
    clusters: list('ECS_CLUSTERS', text('clusters'), CLUSTER, 'not a cluster name'),
    lifecycleEvents: flag('LIFECYCLE_EVENTS', text('lifecycleEvents'), false),
    containerExitedEvents: flag('CONTAINER_EXITED_EVENTS', text('containerExitedEvents'), false),
    senders: list('EVENT_BUS_SENDERS', text('eventBusSenders'), SENDER, 'neither an account nor an organization (o-…)'),
    eventLogDays: Number(days) || 0,
    heartbeat,
    dashboard: flag('DASHBOARD', text('dashboard'), !lean),
    historyTable: checked('HISTORY_TABLE', text('historyTable'), TABLE, 'must be the name of a DynamoDB table'),
    kmsKeyArn: checked('KMS_KEY_ARN', text('kmsKeyArn'), KEY, 'must be the ARN of a KMS key'),
    lean,
    production,
    permissionsBoundary: checked('PERMISSIONS_BOUNDARY', text('permissionsBoundary'), BOUNDARY, 'must be the ARN of an IAM policy'),
    rolePath: checked('ROLE_PATH', text('rolePath'), ROLE_PATH, 'must begin and end with /'),
    tags: Object.fromEntries(tags),
    deploymentBucket: checked('DEPLOYMENT_BUCKET', text('deploymentBucket'), BUCKET, 'must be the name of an S3 bucket'),
    subnets,
    securityGroups,
    architecture: choice('FUNCTION_ARCHITECTURE', text('architecture'), 'arm64', ['arm64', 'x86_64']),
    logDays: Number(text('logDays')) || (production ? 90 : 30),
    watchedServices: list('WATCHED_SERVICES', text('watchedServices'), SERVICE, 'not CLUSTER/SERVICE'),
    secretsKeyArns: list('SECRETS_KMS_KEY_ARNS', text('secretsKeyArns'), KEY, 'not the ARN of a KMS key'),
  };
  return { settings, problems };
}

module.exports = { read };
