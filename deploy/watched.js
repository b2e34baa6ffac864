'use strict';

// Alarms on services that run fewer tasks than desired, which no event reports.

const { createHash } = require('node:crypto');

function runningTasksAlarms({ watchedServices, alarmNamePrefix }, stage) {
  const prefix = `${alarmNamePrefix}running-tasks-${stage}`;
  return Object.fromEntries(watchedServices.map((name) => runningTasksAlarm(prefix, name)));
}

// Goes off when fewer tasks than desired have run for five minutes. The metrics come from Container Insights; without it the
// alarm has no data and never goes off.
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
    AlarmDescription: `${name} has run fewer tasks than desired for five minutes`,
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

module.exports = { runningTasksAlarms };
