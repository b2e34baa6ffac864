'use strict';

// What has to happen before the Serverless CLI packages, so that one `deploy` does on a fresh clone: check the settings,
// build the layer, check the configuration, and give the resources of deploy/*.yml the shape that the settings want. All
// that is wrong is said at once, before anything is made. After a deployment: who has yet to confirm a subscription.

const { spawnSync } = require('node:child_process');
const { createHash } = require('node:crypto');
const { existsSync, readFileSync } = require('node:fs');
const path = require('node:path');

const { Aws } = require('./aws');
const { leaveOut, replace } = require('./optional');
const { patterns, tooLong } = require('./patterns');
const { enrichStatements, secretStatements } = require('./permissions');
const { read } = require('./settings');
const { runningTasksAlarms } = require('./watched');

const SHIPPED = 'alert-router.toml';

class Prepare {
  constructor(serverless, _options, { log }) {
    this.serverless = serverless;
    this.log = log;
    this.hooks = {
      'before:package:initialize': () => this.prepare(),
      'after:package:setupProviderConfiguration': () => this.narrowLogs(),
      'after:package:createDeploymentArtifacts': () => this.addBytecode(),
      'after:deploy:deploy': () => this.settings && this.tellWhoHasToConfirm(), // not where a package is deployed
    };
  }

  async prepare() {
    const { service } = this.serverless;
    const { settings, problems } = read(service.custom.settings, process.env, this.stage());
    const { environment } = service.provider;
    environment.PRODUCTION = String(settings.production);
    environment.ALERT_ROUTER_CONFIG = this.configuration(environment.ALERT_ROUTER_CONFIG);
    const configured = this.checked(environment, settings.alerts);
    problems.push(...configured.problems);
    const table = problems.length ? null : await this.adopted(settings.historyTable, problems);
    const made = patterns(service.resources.Resources, settings);
    if (tooLong(made.EcsRule)) problems.push('ECS_CLUSTERS: too many for an event pattern; use routes with `clusters`');
    if (problems.length) throw this.error(problems.join('\n'));

    service.package.patterns.push(environment.ALERT_ROUTER_CONFIG);
    service.provider.iam.role.statements.push(
      ...this.secrets(environment, settings.secretsKeyArns),
      ...enrichStatements(configured.enrich),
    );
    this.shape(service, settings, made, table);
    this.settings = settings;
  }

  // The framework permits the log groups of every function whose name begins like this one, those of other stages among
  // them, and to make groups. The stack makes the one there is, with its key and retention.
  narrowLogs() {
    const { compiledCloudFormationTemplate: template } = this.serverless.service.provider;
    for (const statement of template.Resources.IamRoleLambdaExecution.Properties.Policies[0].PolicyDocument.Statement) {
      if (!statement.Action.some((action) => /^logs:(CreateLogGroup|PutLogEvents)$/.test(action))) continue;
      statement.Action = statement.Action.includes('logs:PutLogEvents') ? ['logs:PutLogEvents'] : ['logs:CreateLogStream'];
      statement.Resource = [{ 'Fn::GetAtt': ['RouterLogGroup', 'Arn'] }]; // which ends with :*
    }
  }

  // Gives the resources the shape that the settings want.
  shape(service, settings, made, table) {
    const { Resources } = service.resources;
    for (const [rule, pattern] of Object.entries(made)) Resources[rule].Properties.EventPattern = pattern;
    Resources.EventBus.Properties.Policy.Statement = settings.senders.map((sender) => mayWrite(sender, Resources.EventBus.Properties.Name));
    Resources.HistoryTable.Properties.DeletionProtectionEnabled = settings.production;
    service.provider.logRetentionInDays = settings.logDays;
    Resources.EventLogGroup.Properties.RetentionInDays = settings.eventLogDays;
    if (settings.heartbeat) Resources.HeartbeatRule.Properties.ScheduleExpression = settings.heartbeat;
    else Resources.HeartbeatRule.Properties.State = 'DISABLED';

    if (!settings.senders.length) leaveOut('eventBus', service);
    if (!settings.containerExitedEvents) leaveOut('containerExitedEvents', service);
    if (!settings.eventLogDays) leaveOut('eventLog', service);
    if (!settings.dashboard) leaveOut('dashboard', service);
    else listAlarms(Resources);
    if (table) this.adopt(table, service, settings.kmsKeyArn);
    if (settings.kmsKeyArn) replace('EncryptionKey', { Ref: settings.kmsKeyArn, Arn: settings.kmsKeyArn }, service);
    Object.assign(
      service.resources.Resources,
      subscriptions('AlertsTopic', settings.alerts),
      subscriptions('OperatorsTopic', settings.operators),
      runningTasksAlarms(settings, this.stage()),
    );
  }

  // The configuration of this stage, if it has one of its own; ALERT_ROUTER_CONFIG names another.
  configuration(stated) {
    const own = `alert-router.${this.stage()}.toml`;
    return (stated || SHIPPED) === SHIPPED && existsSync(this.file(own)) ? own : stated || SHIPPED;
  }

  // What is wrong with the configuration, and what it turns on.
  checked(environment, alerts) {
    this.python = this.run(this.file('layer', 'find-python'), []).stdout.trim();
    this.log.notice(this.run(this.python, [this.file('layer', 'build.py')]).stderr.trim());
    const check = [this.file('deploy', 'check_config.py')];
    const ran = this.run(this.python, check, { settings: checkedSettings(environment, alerts), mayFail: true });
    if (ran.failed) return { problems: ran.stderr.trim().split('\n') };
    if (ran.stderr) this.log.notice(ran.stderr.trim());
    return { problems: [], enrich: JSON.parse(ran.stdout) };
  }

  // Bytecode that lies in the checkout is not packaged: other processes replace it at any time.
  addBytecode() {
    this.run(this.python, [this.file('layer', 'function_bytecode.py'), this.serverless.service.package.artifact]);
  }

  // What AWS says of the table of HISTORY_TABLE. The stack's own table, whose name the command line is given in the same
  // variable, stays the stack's.
  async adopted(name, problems) {
    if (!name) return null;
    try {
      return (await this.aws().owns('HistoryTable', name)) ? null : await this.aws().table(name);
    } catch (error) {
      problems.push(`HISTORY_TABLE: ${name} cannot be used: ${error.message}`);
      return null;
    }
  }

  adopt(table, service, keyArn) {
    replace('HistoryTable', { Ref: table.name, Arn: table.arn }, service);
    if (table.keyArn && table.keyArn !== keyArn) {
      for (const { Action, Resource } of service.provider.iam.role.statements) {
        if (Action.includes('kms:GenerateDataKey') || Action.includes('kms:Encrypt')) Resource.push(table.keyArn);
      }
    }
    this.log.notice(`history: the table ${table.name} is used, and no other is made (HISTORY_TABLE)`);
  }

  secrets(environment, keyArns) {
    const config = readFileSync(this.file(environment.ALERT_ROUTER_CONFIG), 'utf8');
    return secretStatements(config, environment, keyArns);
  }

  async tellWhoHasToConfirm() {
    try {
      const outputs = await this.aws().outputs();
      await this.tell(outputs.AlertsTopicArn, this.settings.alerts);
      await this.tell(outputs.OperatorsTopicArn, this.settings.operators);
    } catch (error) {
      this.log.warning(`who has yet to confirm could not be found out: ${error.message}`);
    }
  }

  async tell(topic, addresses) {
    const unheard = await this.aws().unheard(topic, addresses);
    if (unheard.length) this.log.warning(unconfirmed(topic, unheard));
  }

  aws() {
    return new Aws(this.serverless.getProvider('aws'));
  }

  stage() {
    return this.serverless.getProvider('aws').getStage();
  }

  file(...names) {
    return path.join(this.serverless.serviceDir, ...names);
  }

  run(command, words, { settings = {}, mayFail = false } = {}) {
    const result = spawnSync(command, words, {
      cwd: this.serverless.serviceDir,
      env: { ...process.env, ...settings },
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const failed = result.status !== 0;
    if (failed && !(mayFail && result.stderr)) throw this.error((result.stderr || String(result.error)).trim());
    return { failed, stdout: result.stdout, stderr: result.stderr };
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
  const names = known.map(([name]) => name).join(' '); // where nothing but a reference to a secret may stand
  return { ...Object.fromEntries(known), FUNCTION_VARIABLES: names, SNS_TOPIC_ARN: topic };
}

// An account by its number, an organization by its id.
function mayWrite(sender, bus) {
  const organization = sender.startsWith('o-');
  return {
    Sid: `From${sender.replace('-', '')}`,
    Effect: 'Allow',
    Principal: organization ? '*' : { AWS: { 'Fn::Sub': `arn:\${AWS::Partition}:iam::${sender}:root` } },
    Action: 'events:PutEvents',
    Resource: { 'Fn::Sub': `arn:\${AWS::Partition}:events:\${AWS::Region}:\${AWS::AccountId}:event-bus/${bus}` },
    ...(organization ? { Condition: { StringEquals: { 'aws:PrincipalOrgID': sender } } } : {}),
  };
}

function listAlarms(resources) {
  const alarms = Object.entries(resources).filter(([, { Type }]) => Type === 'AWS::CloudWatch::Alarm');
  const [, values] = resources.Dashboard.Properties.DashboardBody['Fn::Sub'];
  const arns = alarms.map(([name]) => ({ 'Fn::GetAtt': [name, 'Arn'] }));
  values.Alarms = { 'Fn::Join': ['', ['"', { 'Fn::Join': ['", "', arns] }, '"']] };
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

function unconfirmed(topic, addresses) {
  const again = `aws sns subscribe --protocol email --topic-arn ${topic} --notification-endpoint ADDRESS`;
  return `not confirmed by the link in the mail from AWS, so nothing is sent to: ${addresses.join(', ')} (another mail: ${again})`;
}

module.exports = Prepare;
