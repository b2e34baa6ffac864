'use strict';

// Runs before the Serverless CLI packages, so that a single `deploy` is enough on a fresh clone: checks the settings, builds
// the layer, checks the configuration, and adapts the resources of deploy/*.yml to the settings. All problems are reported
// together, before anything is created. After a deployment it lists the addresses that have not confirmed their subscription.

const { spawnSync } = require('node:child_process');
const { createHash } = require('node:crypto');
const { existsSync, readFileSync } = require('node:fs');
const path = require('node:path');

const { Aws } = require('./aws');
const { leaveOut, leaveOutAlarms, leaveOutKey, replace } = require('./optional');
const { removed } = require('./owed');
const { patterns, tooLong } = require('./patterns');
const { channelStatements, enrichStatements, pollStatements, secretStatements } = require('./permissions');
const { read } = require('./settings');
const { allowNewerRuntimes } = require('./runtimes');
const { runningTasksAlarms } = require('./watched');

const SHIPPED = 'alert-router.toml';

// What Lambda calls with the function's role to connect it to a VPC (AWS Lambda Developer Guide, "Giving Lambda functions
// access to resources in an Amazon VPC").
const NETWORK = [
  'ec2:AssignPrivateIpAddresses',
  'ec2:CreateNetworkInterface',
  'ec2:DeleteNetworkInterface',
  'ec2:DescribeNetworkInterfaces',
  'ec2:DescribeSubnets',
  'ec2:UnassignPrivateIpAddresses',
];

class Prepare {
  constructor(serverless, _options, { log }) {
    this.serverless = serverless;
    this.log = log;
    allowNewerRuntimes(serverless); // before the CLI checks serverless.yml
    this.hooks = {
      initialize: () => this.useBucket(),
      'before:package:initialize': () => this.prepare(),
      'after:package:setupProviderConfiguration': () => this.narrowLogs(),
      'after:package:createDeploymentArtifacts': () => this.compileFunction(),
      'before:deploy:deploy': () => this.settings && this.keepPromises(),
      'after:deploy:deploy': () => this.settings && this.warnOfUnconfirmed(), // without settings, a package was deployed
    };
  }

  // Every command needs the bucket, `remove` too. The framework accepts no empty name in serverless.yml.
  useBucket() {
    const { deploymentBucket } = read(this.serverless.service.custom.settings, process.env, this.stage()).settings;
    if (deploymentBucket) this.serverless.service.provider.deploymentBucket = deploymentBucket;
  }

  async prepare() {
    const { service } = this.serverless;
    const { settings, problems } = read(service.custom.settings, process.env, this.stage());
    const { environment } = service.provider;
    environment.PRODUCTION = String(settings.production);
    environment.ALERT_ROUTER_CONFIG = this.configuration(environment.ALERT_ROUTER_CONFIG);
    const configured = this.checked(environment, settings);
    problems.push(...configured.problems);
    const table = problems.length ? null : await this.adopted(settings.historyTable, problems);
    if (settings.kmsKeyArn && (await this.isOwnKey(settings.kmsKeyArn))) {
      settings.kmsKeyArn = '';
      settings.keepsKey = true;
    }
    const eventPatterns = patterns(service.resources.Resources, settings);
    if (tooLong(eventPatterns.EcsRule)) problems.push('ECS_CLUSTERS: too many for an event pattern; use routes with `match = { cluster = … }`');
    if (problems.length) throw this.error(problems.join('\n'));

    service.package.patterns.push(environment.ALERT_ROUTER_CONFIG);
    service.provider.iam.role.statements.push(
      ...this.secrets(environment, settings.secretsKeyArns),
      ...enrichStatements(configured.needs),
      ...pollStatements(configured.needs),
      ...channelStatements(configured.needs),
    );
    this.channels = configured.needs.channels;
    this.adapt(service, settings, eventPatterns, table);
    adaptProvider(service, settings);
    this.settings = settings;
  }

  // The policy that the framework attaches for a VPC permits every log group of the account; adaptProvider permits the rest.
  // The framework permits the log groups of every function whose name begins like this one, which includes those of other
  // stages, and the creation of groups. The stack itself creates the only group, with its key and retention.
  narrowLogs() {
    const { compiledCloudFormationTemplate: template } = this.serverless.service.provider;
    delete template.Resources.IamRoleLambdaExecution.Properties.ManagedPolicyArns;
    for (const statement of template.Resources.IamRoleLambdaExecution.Properties.Policies[0].PolicyDocument.Statement) {
      if (!statement.Action.some((action) => /^logs:(CreateLogGroup|PutLogEvents)$/.test(action))) continue;
      statement.Action = statement.Action.includes('logs:PutLogEvents') ? ['logs:PutLogEvents'] : ['logs:CreateLogStream'];
      statement.Resource = [{ 'Fn::GetAtt': ['RouterLogGroup', 'Arn'] }]; // which ends with :*
    }
  }

  // Adapts the resources to the settings.
  adapt(service, settings, eventPatterns, table) {
    const { Resources } = service.resources;
    for (const [rule, pattern] of Object.entries(eventPatterns)) Resources[rule].Properties.EventPattern = pattern;
    Resources.EventBus.Properties.Policy.Statement = settings.senders.map((sender) => mayWrite(sender, Resources.EventBus.Properties.Name));
    Resources.HistoryTable.Properties.DeletionProtectionEnabled = settings.production;
    service.provider.logRetentionInDays = settings.logDays;
    Resources.EventLogGroup.Properties.RetentionInDays = settings.eventLogDays;
    if (settings.heartbeat) Resources.HeartbeatRule.Properties.ScheduleExpression = settings.heartbeat;
    else Resources.HeartbeatRule.Properties.State = 'DISABLED';

    if (!settings.senders.length) leaveOut('eventBus', service);
    if (!settings.containerExitedEvents) leaveOut('containerExitedEvents', service);
    if (!settings.eventLogDays) leaveOut('eventLog', service);
    if (settings.lean) leaveOutAlarms(service);
    if (!settings.dashboard) leaveOut('dashboard', service);
    else listAlarms(Resources);
    if (table) this.adopt(table, service, settings.kmsKeyArn);
    if (settings.kmsKeyArn) replace('EncryptionKey', { Ref: settings.kmsKeyArn, Arn: settings.kmsKeyArn }, service);
    else if (settings.lean && !settings.keepsKey) leaveOutKey(service);
    Object.assign(
      service.resources.Resources,
      subscriptions('AlertsTopic', settings.alerts),
      subscriptions('OperatorsTopic', settings.operators),
      runningTasksAlarms(settings, this.stage()),
    );
  }

  // The file of ALERT_ROUTER_CONFIG, otherwise that of this stage if it exists, otherwise the shipped one.
  configuration(named) {
    const own = `alert-router.${this.stage()}.toml`;
    return (named || SHIPPED) === SHIPPED && existsSync(this.file(own)) ? own : named || SHIPPED;
  }

  // The problems of the configuration, and what it needs permissions for.
  checked(environment, { alerts, architecture }) {
    this.python = this.run(this.file('layer', 'find-python'), []).stdout.trim();
    this.log.notice(this.run(this.python, [this.file('layer', 'build.py')], { settings: { FUNCTION_ARCHITECTURE: architecture } }).stderr.trim());
    const check = [this.file('deploy', 'check_config.py')];
    const result = this.run(this.python, check, { settings: checkedSettings(environment, alerts), mayFail: true });
    if (result.failed) return { problems: result.stderr.trim().split('\n') };
    if (result.stderr) this.log.notice(result.stderr.trim());
    return { problems: [], needs: JSON.parse(result.stdout) };
  }

  // The checkout's own bytecode is not packaged, because other processes can replace it at any time.
  compileFunction() {
    const { stderr } = this.run(this.python, [this.file('layer', 'compile_function.py'), this.serverless.service.package.artifact]);
    if (stderr) this.log.notice(stderr.trim());
  }

  // The existing table that HISTORY_TABLE names. If it is the stack's own table, which the command line finds by the same
  // variable, there is nothing to adopt.
  async adopted(name, problems) {
    if (!name) return null;
    try {
      return (await this.aws().owns('HistoryTable', name)) ? null : await this.aws().table(name);
    } catch (error) {
      problems.push(`HISTORY_TABLE: ${name} cannot be used: ${error.message}`);
      return null;
    }
  }

  // The stack's own key, which `KMS_KEY_ARN` may name too, stays in the stack.
  async isOwnKey(arn) {
    try {
      return await this.aws().owns('EncryptionKey', arn.split('/').pop());
    } catch {
      return false; // packaging needs no credentials
    }
  }

  async keepPromises() {
    await this.keepHistory();
    await this.keepChannels();
  }

  // A channel that is removed gets no more messages, so none may be due.
  async keepChannels() {
    let owed;
    try {
      owed = await this.aws().owed();
    } catch (error) {
      this.log.warning(`could not check what channels that this deployment removes are owed: ${error.message}`);
      return;
    }
    const options = `--stage ${this.stage()} --region ${this.serverless.getProvider('aws').getRegion()}`;
    const { problems, warnings } = removed(owed, this.channels, options);
    for (const warning of warnings) this.log.warning(warning);
    if (problems.length) throw this.error(problems.join('\n'));
  }

  // A deployment never changes the table of a stage: the new one would be empty, and open incidents would never be resolved.
  async keepHistory() {
    const aws = this.aws();
    const { TableName: current } = await aws.outputs();
    if (!current) return; // the first deployment
    const named = this.settings.historyTable;
    const next = named || ((await aws.owns('HistoryTable', current)) ? current : '');
    if (next === current) return;
    const stage = this.stage();
    throw this.error(
      `HISTORY_TABLE: the history of stage ${stage} is in the table ${current}, and this deployment would ` +
        `${named ? `change to ${named}` : 'start with a new, empty table'}. Set HISTORY_TABLE=${current} in .env or in the ` +
        `shell. To change the table on purpose, first remove the stage, which keeps its table: npx osls remove --stage ${stage}`,
    );
  }

  adopt(table, service, keyArn) {
    replace('HistoryTable', { Ref: table.name, Arn: table.arn }, service);
    if (table.keyArn && table.keyArn !== keyArn) {
      for (const { Action, Resource } of service.provider.iam.role.statements) {
        if (Action.includes('kms:GenerateDataKey') || Action.includes('kms:Encrypt')) Resource.push(table.keyArn);
      }
    }
    this.log.notice(`history: using the existing table ${table.name} (HISTORY_TABLE); no new table is created`);
  }

  secrets(environment, keyArns) {
    const config = readFileSync(this.file(environment.ALERT_ROUTER_CONFIG), 'utf8');
    return secretStatements(config, environment, keyArns);
  }

  async warnOfUnconfirmed() {
    try {
      const outputs = await this.aws().outputs();
      await this.warnOf(outputs.AlertsTopicArn, this.settings.alerts);
      await this.warnOf(outputs.OperatorsTopicArn, this.settings.operators);
    } catch (error) {
      this.log.warning(`could not check which e-mail addresses have confirmed: ${error.message}`);
    }
  }

  async warnOf(topic, addresses) {
    const unconfirmed = await this.aws().unconfirmed(topic, addresses);
    if (unconfirmed.length) this.log.warning(warning(topic, unconfirmed));
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

// What an organization may require of the role, the function and its resources.
function adaptProvider({ provider, layers }, settings) {
  const { permissionsBoundary, rolePath, tags, subnets, securityGroups, architecture } = settings;
  if (permissionsBoundary) provider.iam.role.permissionsBoundary = permissionsBoundary;
  if (rolePath) provider.iam.role.path = rolePath;
  if (Object.keys(tags).length) provider.stackTags = tags; // CloudFormation adds them to every resource that can have tags
  if (subnets.length) {
    provider.vpc = { subnetIds: subnets, securityGroupIds: securityGroups };
    provider.iam.role.statements.push({ Effect: 'Allow', Action: NETWORK, Resource: '*' });
  }
  provider.architecture = architecture;
  layers.dependencies.compatibleArchitectures = [architecture];
}

// The function's settings that are known before the deployment. The topic is not known yet, so a placeholder stands for it;
// without an address the topic has no subscriber, and the email channel counts as unset.
function checkedSettings(environment, alerts) {
  const known = Object.entries(environment).filter(([, value]) => typeof value === 'string');
  const topic = alerts.length ? 'arn:aws:sns:us-east-1:000000000000:alerts' : '';
  const names = known.map(([name]) => name).join(' '); // which may only hold a reference to a secret
  return { ...Object.fromEntries(known), FUNCTION_VARIABLES: names, SNS_TOPIC_ARN: topic };
}

// Permission for an account or an organization to put events on the bus.
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
      // Named by the address, not by its position in the list, so that a different order does not subscribe anyone again.
      `${topic}Email${createHash('sha256').update(address).digest('hex').slice(0, 12)}`,
      { Type: 'AWS::SNS::Subscription', Properties: { Protocol: 'email', Endpoint: address, TopicArn: { Ref: topic } } },
    ]),
  );
}

function warning(topic, addresses) {
  const command = `aws sns subscribe --protocol email --topic-arn ${topic} --notification-endpoint ADDRESS`;
  return (
    `these addresses receive nothing until they click the link in the mail from AWS: ${addresses.join(', ')} ` +
    `(to send that mail again: ${command})`
  );
}

module.exports = Prepare;
