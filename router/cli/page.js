'use strict';

// Draws adaptive cards with the official renderer, in the colours and sizes of the Teams light theme.
const colors = (normal, subtle) => ({ default: normal, subtle });
const foreground = {
  default: colors('#242424', '#616161'),
  accent: colors('#5b5fc7', '#5b5fc7'),
  attention: colors('#c4314b', '#c4314b'),
  good: colors('#237b4b', '#237b4b'),
  warning: colors('#8f5a00', '#8f5a00'),
};
const style = (backgroundColor) => ({ backgroundColor, foregroundColors: foreground });
const fontSizes = { small: 12, default: 14, medium: 16, large: 18, extraLarge: 22 };
const fontWeights = { lighter: 300, default: 400, bolder: 600 };
const font = (fontFamily) => ({ fontFamily, fontSizes, fontWeights });
const config = {
  fontTypes: {
    default: font('"Segoe UI", Inter, "Helvetica Neue", "Noto Sans CJK JP", sans-serif'),
    monospace: font('Consolas, Menlo, "DejaVu Sans Mono", "Noto Sans Mono CJK JP", monospace'),
  },
  spacing: { small: 8, default: 8, medium: 16, large: 24, extraLarge: 32, padding: 12 },
  supportsInteractivity: true,
  containerStyles: {
    default: style('#ffffff'),
    emphasis: style('#f3f2f1'),
    accent: style('#c7def9'),
    good: style('#e7f2da'),
    attention: style('#fcf4f6'),
    warning: style('#fbf6d9'),
  },
  actions: { maxActions: 6, actionsOrientation: 'horizontal', actionAlignment: 'left', buttonSpacing: 8 },
  factSet: {
    title: { weight: 'bolder', wrap: true, maxWidth: 150 },
    value: { wrap: true },
    spacing: 16,
  },
};

for (const place of document.querySelectorAll('.teams')) {
  const card = new AdaptiveCards.AdaptiveCard();
  card.hostConfig = new AdaptiveCards.HostConfig(config);
  card.parse(JSON.parse(place.querySelector('script').textContent));
  place.querySelector('.card').replaceChildren(card.render());
}
