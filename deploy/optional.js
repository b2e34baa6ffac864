'use strict';

// Removes resources from the template, with everything that refers to them, or replaces them with existing ones.

// The resources of each setting that can be off, and which properties encrypt a resource. release/template.py reads the same file.
const { resources: PARTS, leanAlarms: LEAN_ALARMS, encryption: ENCRYPTION } = require('./parts.json');

// Removes the resources of a part, their outputs, the list elements that refer to them (the function's permissions too), and
// the event sources of the function.
function leaveOut(part, service) {
  leaveOutAll(PARTS[part], service);
}

// Removes all alarms of the router but those of the lean profile.
function leaveOutAlarms(service) {
  const alarms = Object.entries(service.resources.Resources).filter(([, { Type }]) => Type === 'AWS::CloudWatch::Alarm');
  leaveOutAll(alarms.map(([name]) => name).filter((name) => !LEAN_ALARMS.includes(name)), service);
}

function leaveOutAll(names, service) {
  for (const name of names) delete service.resources.Resources[name];
  dropOutputs(service, names);
  prune(service.resources.Resources, names);
  prune(service.provider.iam, names);
  const { router } = service.functions;
  router.events = router.events.filter(({ sqs }) => !names.includes(referred(sqs?.arn)));
}

// Leaves out the key, and the settings that use it: AWS's own keys then encrypt the queues, the table and the logs, and the
// topics are not encrypted. A key of an existing table stays permitted.
function leaveOutKey(service) {
  const { Resources, extensions } = service.resources;
  for (const { Type, Properties } of [...Object.values(Resources), { Type: 'AWS::Logs::LogGroup', ...extensions.RouterLogGroup }]) {
    const { byKey = [], otherwise = {} } = ENCRYPTION[Type] ?? {};
    for (const name of byKey) delete Properties[name];
    Object.assign(Properties, otherwise);
  }
  leaveOut('key', service);
  const { role } = service.provider.iam;
  role.statements = role.statements.filter(({ Resource }) => Resource.length !== 0);
}

// Replaces a resource with an existing one: `values` has what Ref and Fn::GetAtt … Arn resolve to.
function replace(name, values, service) {
  delete service.resources.Resources[name];
  const { provider, resources } = service;
  for (const [at, parent] of [['environment', provider], ['iam', provider], ['Resources', resources], ['Outputs', resources], ['extensions', resources]]) {
    if (parent[at]) parent[at] = replaced(parent[at], name, values);
  }
}

function dropOutputs(service, names) {
  const outputs = service.resources.Outputs;
  for (const [output, { Value }] of Object.entries(outputs)) if (names.includes(referred(Value))) delete outputs[output];
}

function prune(node, names) {
  for (const [key, value] of Object.entries(node)) {
    if (Array.isArray(value)) node[key] = value.filter((element) => !names.includes(referred(element)));
    if (value && typeof value === 'object') prune(node[key], names);
  }
}

// The resource that a value refers to.
function referred(value) {
  const attribute = value?.['Fn::GetAtt'];
  return value?.Ref ?? (Array.isArray(attribute) ? attribute[0] : attribute?.split('.')[0]);
}

function replaced(node, name, values) {
  if (Array.isArray(node)) return node.map((element) => replaced(element, name, values));
  if (!node || typeof node !== 'object') return node;
  if (referred(node) === name) return node.Ref ? values.Ref : values.Arn;
  if (typeof node['Fn::Sub'] === 'string' && node['Fn::Sub'].includes(`\${${name}`)) {
    return withinText(node['Fn::Sub'], name, values);
  }
  return Object.fromEntries(Object.entries(node).map(([key, value]) => [key, replaced(value, name, values)]));
}

function withinText(text, name, values) {
  const filled = text.replaceAll(`\${${name}.Arn}`, values.Arn).replaceAll(`\${${name}}`, values.Ref);
  return filled.includes('${') ? { 'Fn::Sub': filled } : filled;
}

module.exports = { leaveOut, leaveOutAlarms, leaveOutKey, replace };
