'use strict';

// The event patterns of deploy/rules.yml, adapted to the settings.

const LIMIT = 2048; // characters of an event pattern (Amazon EventBridge quotas)
const TASKS = 'ECS Task State Change';
const INSTANCES = 'ECS Container Instance State Change';
const CALLS = ['AWS API Call via CloudTrail'];
// Every event of these kinds names its cluster in `detail`; some of the others name it only in `resources`.
const CLUSTER_IN_DETAIL = [TASKS, INSTANCES, 'ECS Service Action'];

// The pattern of every rule that receives events, by logical id; the rules of the event bus have the same patterns.
function patterns(resources, settings) {
  const shipped = (rule) => structuredClone(resources[rule].Properties.EventPattern);
  const alarm = shipped('AlarmRule');
  alarm.detail.alarmName = [{ prefix: settings.alarmNamePrefix }];
  const codeDeploy = shipped('CodeDeployRule');
  codeDeploy.detail.application = [{ prefix: settings.codeDeployPrefix }];
  const containerExited = shipped('ContainerExitedRule');
  if (settings.clusters.length) containerExited.detail.clusterArn = arnsOf(settings.clusters);
  const own = {
    EcsRule: ofClusters(settings.lifecycleEvents ? withLifecycle(shipped('EcsRule')) : shipped('EcsRule'), settings.clusters),
    AlarmRule: alarm,
    CodeDeployRule: codeDeploy,
    NoticeRule: callsOfClusters(shipped('NoticeRule'), settings.clusters),
    ContainerExitedRule: containerExited,
  };
  return { ...own, ...Object.fromEntries(Object.entries(own).map(([rule, pattern]) => [`Bus${rule}`, pattern])) };
}

// Matches every state of tasks and container instances.
function withLifecycle(pattern) {
  const others = pattern.$or.filter((alternative) => !only(alternative, [TASKS, INSTANCES]) && !excludes(alternative));
  const rest = pattern.$or.find(excludes);
  const kept = rest['detail-type'][0]['anything-but'].filter((kind) => kind !== TASKS && kind !== INSTANCES);
  return { ...pattern, $or: [...others, { 'detail-type': [{ 'anything-but': kept }] }] };
}

function ofClusters(pattern, clusters) {
  if (!clusters.length) return pattern;
  const arns = arnsOf(clusters);
  const within = clusters.map((name) => ({ wildcard: `*/${name}/*` }));
  const narrowed = pattern.$or.map((alternative) =>
    only(alternative, CLUSTER_IN_DETAIL)
      ? { ...alternative, detail: { clusterArn: arns, ...alternative.detail } }
      : { ...alternative, $or: [{ detail: { clusterArn: arns } }, { resources: within }] },
  );
  return { ...pattern, $or: narrowed };
}

// Calls name their cluster by its name or ARN. Those that AWS denied name none, and AWS Health is about all clusters.
function callsOfClusters(pattern, clusters) {
  if (!clusters.length) return pattern;
  const names = clusters.map((name) => (name.includes('*') ? { wildcard: name } : name));
  const cluster = [...arnsOf(clusters), ...names, { exists: false }];
  const narrowed = pattern.$or.map((alternative) =>
    only(alternative, CALLS) ? { ...alternative, detail: { requestParameters: { cluster }, ...alternative.detail } } : alternative,
  );
  return { ...pattern, $or: narrowed };
}

function arnsOf(clusters) {
  return clusters.map((name) => match(`:cluster/${name}`));
}

function match(ending) {
  return ending.includes('*') ? { wildcard: `*${ending}` } : { suffix: ending };
}

function only(alternative, kinds) {
  return alternative['detail-type'].every((kind) => kinds.includes(kind));
}

function excludes(alternative) {
  return alternative['detail-type'].some((kind) => kind['anything-but']);
}

function tooLong(pattern) {
  return JSON.stringify(pattern).length > LIMIT;
}

module.exports = { patterns, tooLong };
