'use strict';

// What the deploying shell says, checked: every value is read here, and every wrong one is named.

const ADDRESS = /^[^\s@,;<>"]+@[^\s@,;<>"]+\.[^\s@,;<>"]+$/;
const CLUSTER = /^[A-Za-z0-9_*-]{1,255}$/;
const SERVICE = /^[\w-]{1,255}\/[\w-]{1,255}$/;
const SENDER = /^([0-9]{12}|o-[a-z0-9]{10,32})$/;
const SCHEDULE = /^(rate\([1-9][0-9]* (minute|hour|day)s?\)|cron\([^()]+\))$/;
const KEY = /^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key\/[A-Za-z0-9-]+$/;
const TABLE = /^[A-Za-z0-9_.-]{3,255}$/;
const NOT_PRODUCTION = ['dev', 'test', 'local']; // stages, unless PRODUCTION says otherwise
// The days that CloudWatch Logs can keep a log group for (PutRetentionPolicy).
const DAYS = [
  1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
];

// The settings, and all that is wrong with them, each by the name of its variable. `stated` is custom.settings of
// serverless.yml; the addresses are read from the environment alone.
function read(stated, environment, stage) {
  const problems = [];
  const text = (key) => String(stated[key] ?? '').trim();
  const problem = (variable, said) => problems.push(`${variable}: ${said}`);
  const checked = (variable, value, pattern, what) => {
    if (value && !pattern.test(value)) problem(variable, `${what}, not ${JSON.stringify(value)}`);
    return value;
  };
  const list = (variable, value, pattern, what) => {
    const values = [...new Set(value.split(',').map((each) => each.trim()).filter(Boolean))];
    const wrong = values.filter((each) => !pattern.test(each));
    if (wrong.length) problem(variable, `${what}: ${wrong.join(', ')}`);
    return values;
  };
  const flag = (variable, value, standard) => {
    const meant = { '': standard, true: true, on: true, false: false, off: false }[value.toLowerCase()];
    if (meant === undefined) problem(variable, `must be on or off, not ${JSON.stringify(value)}`);
    return meant;
  };
  const addresses = (variable) => list(variable, environment[variable] ?? '', ADDRESS, 'not an email address');

  const alerts = addresses('ALERT_EMAILS');
  const operators = addresses('OPERATOR_EMAILS');
  const alarmNamePrefix = text('alarmNamePrefix') || 'ecs-'; // an empty prefix would match every alarm there is
  if (`alert-router-${stage}-`.startsWith(alarmNamePrefix)) {
    problem('ALARM_NAME_PREFIX', `the router's own alarms begin with ${JSON.stringify(alarmNamePrefix)} too`);
  }
  const days = text('eventLogDays');
  if (days && !DAYS.includes(Number(days))) {
    problem('EVENT_LOG_DAYS', `must be one of ${DAYS.join(', ')}, not ${JSON.stringify(days)}`);
  }
  const schedule = text('heartbeat');
  const heartbeat = schedule.toLowerCase() !== 'off' && (schedule || 'cron(0 9 ? * MON *)');
  if (heartbeat) checked('HEARTBEAT_SCHEDULE', heartbeat, SCHEDULE, 'must be rate(…), cron(…) or off');
  const production = flag('PRODUCTION', text('production'), !NOT_PRODUCTION.includes(stage));
  const settings = {
    alerts,
    operators: operators.length ? operators : alerts,
    alarmNamePrefix,
    codeDeployPrefix: text('codeDeployPrefix') || 'AppECS-',
    clusters: list('ECS_CLUSTERS', text('clusters'), CLUSTER, 'not the name of a cluster'),
    lifecycleEvents: flag('LIFECYCLE_EVENTS', text('lifecycleEvents'), false),
    containerExitedEvents: flag('CONTAINER_EXITED_EVENTS', text('containerExitedEvents'), false),
    senders: list('EVENT_BUS_SENDERS', text('eventBusSenders'), SENDER, 'neither an account nor an organization (o-…)'),
    eventLogDays: Number(days) || 0,
    heartbeat,
    dashboard: flag('DASHBOARD', text('dashboard'), true),
    historyTable: checked('HISTORY_TABLE', text('historyTable'), TABLE, 'must be the name of a DynamoDB table'),
    kmsKeyArn: checked('KMS_KEY_ARN', text('kmsKeyArn'), KEY, 'must be the ARN of a KMS key'),
    production,
    logDays: Number(text('logDays')) || (production ? 90 : 30),
    watchedServices: list('WATCHED_SERVICES', text('watchedServices'), SERVICE, 'not CLUSTER/SERVICE'),
    secretsKeyArns: list('SECRETS_KMS_KEY_ARNS', text('secretsKeyArns'), KEY, 'not the ARN of a KMS key'),
  };
  return { settings, problems };
}

module.exports = { read };
