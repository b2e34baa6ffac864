'use strict';

// What is still owed to the channels that a deployment removes: they would get no more messages.

// Returns problems, which stop the deployment, and warnings. `owed` is the answer of the deployed function, by channel;
// `channels` has the names of those in the new configuration; `options` tells the command line which stage to ask.
function removed(owed, channels, options) {
  const gone = Object.entries(owed).filter(([name]) => !channels.includes(name));
  const unsent = gone.filter(([, { due }]) => due > 0);
  return {
    problems: unsent.map(
      ([name, { due }]) =>
        `channels.${name}: the configuration no longer has this channel, but ${count(due, 'message')} for it ` +
        `${due === 1 ? 'is' : 'are'} due and would never be sent. Keep the channel until they are sent, or drop them: ` +
        `ecs-alert-router redrive --drop ${name} ${options}. To see what each channel is owed: ecs-alert-router redrive --due ${options}`,
    ),
    warnings: gone
      .filter((entry) => !unsent.includes(entry))
      .map(
        ([name, { open_incidents: open }]) =>
          `channels.${name}: the configuration no longer has this channel, which was notified of ${count(open, 'open incident')} ` +
          'and will not be told of the end; an alert that it keeps open, as PagerDuty does, stays open until somebody resolves it',
      ),
  };
}

function count(number, what) {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}

module.exports = { removed };
