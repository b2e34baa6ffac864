'use strict';

// The event patterns of deploy/rules.yml, as the settings want them.

const LIMIT = 2048; // characters of an event pattern (Amazon EventBridge quotas)
const TASKS = 'ECS Task State Change';
const INSTANCES = 'ECS Container Instance State Change';
// The kinds of which every event says its cluster in `detail`; of the others some name it in `resources` alone.
const SAYS_CLUSTER = [TASKS, INSTANCES, 'ECS Service Action'];

// Every rule that lets events in, by its logical id; the rules of the event bus have the same patterns.
function patterns(resources, settings) {
  const shipped = (rule) => structuredClone(resources[rule].Properties.EventPattern);
  const alarm = shipped('AlarmRule');
  alarm.detail.alarmName = [{ prefix: settings.alarmNamePrefix }];
  const codeDeploy = shipped('CodeDeployRule');
  codeDeploy.detail.application = [{ prefix: settings.codeDeployPrefix }];
  const containerExited = shipped('ContainerExitedRule');
  if (settings.clusters.length) containerExited.detail.clusterArn = arnsOf(settings.clusters);
  const made = {
    EcsRule: ofClusters(settings.lifecycleEvents ? withLifecycle(shipped('EcsRule')) : shipped('EcsRule'), settings.clusters),
    AlarmRule: alarm,
    CodeDeployRule: codeDeploy,
    ContainerExitedRule: containerExited,
  };
  return { ...made, ...Object.fromEntries(Object.entries(made).map(([rule, pattern]) => [`Bus${rule}`, pattern])) };
}

// Every state of tasks and container instances, whatever it says.
function withLifecycle(pattern) {
  const others = pattern.$or.filter((each) => !only(each, [TASKS, INSTANCES]) && !excludes(each));
  const rest = pattern.$or.find(excludes);
  const kept = rest['detail-type'][0]['anything-but'].filter((kind) => kind !== TASKS && kind !== INSTANCES);
  return { ...pattern, $or: [...others, { 'detail-type': [{ 'anything-but': kept }] }] };
}

function ofClusters(pattern, clusters) {
  if (!clusters.length) return pattern;
  const arns = arnsOf(clusters);
  const within = clusters.map((name) => ({ wildcard: `*/${name}/*` }));
  const narrowed = pattern.$or.map((each) =>
    only(each, SAYS_CLUSTER)
      ? { ...each, detail: { clusterArn: arns, ...each.detail } }
      : { ...each, $or: [{ detail: { clusterArn: arns } }, { resources: within }] },
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
