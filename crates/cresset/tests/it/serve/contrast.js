// Returns what on the page has too little contrast (WCAG 2.2: 1.4.3 for text, 1.4.11 for marks), as `what: ratio < least`.
//
// Colours are those really in effect: of the element, through the opacity of all that it is in, on what lies behind it.
const LEAST_TEXT = 4.5;
const LEAST_LARGE = 3;
const LEAST_MARK = 3;
const MARKS = {
  '.dot': 'backgroundColor', '.strip rect.on': 'fill', '.lane circle.on': 'fill', '.chart polyline': 'stroke',
  '.flame': 'fill', '.basket': 'fill',
  'input:not([type=hidden])': 'borderTopColor', 'select': 'borderTopColor', 'textarea': 'borderTopColor',
};

const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });

function rgba(colour) {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
  return { r, g, b, a: a / 255 };
}

const over = (top, under) => ({
  r: top.r * top.a + under.r * (1 - top.a), g: top.g * top.a + under.g * (1 - top.a), b: top.b * top.a + under.b * (1 - top.a), a: 1,
});

function luminance({ r, g, b }) {
  const [lr, lg, lb] = [r, g, b].map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * lr + 0.7152 * lg + 0.0722 * lb;
}

function ratio(one, other) {
  const [dark, bright] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (bright + 0.05) / (dark + 0.05);
}

function ancestors(element) {
  const all = [];
  for (let one = element; one; one = one.parentElement) all.push(one);
  return all;
}

// What is behind an element; for a mark, behind the element that draws it.
function behind(all) {
  return all.reduceRight((under, one) => {
    const style = getComputedStyle(one);
    const paint = rgba(style.backgroundColor);
    return over({ ...paint, a: paint.a * Number(style.opacity) }, under);
  }, rgba(getComputedStyle(document.documentElement).colorScheme.includes('dark') ? '#000' : '#fff'));
}

function contrast(element, colour, under) {
  const opacity = ancestors(element).reduce((all, one) => all * Number(getComputedStyle(one).opacity), 1);
  const paint = rgba(colour);
  return ratio(over({ ...paint, a: paint.a * opacity }, under), under);
}

function isSeen(element) {
  const box = element.getBoundingClientRect();
  return element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }) && box.width > 1 && box.height > 1;
}

function hasText(element) {
  return [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim() !== '');
}

function leastOf(style) {
  const px = parseFloat(style.fontSize);
  return px >= 24 || (px >= 18.66 && Number(style.fontWeight) >= 700) ? LEAST_LARGE : LEAST_TEXT;
}

const called = (element) => `${element.tagName}.${element.getAttribute('class') ?? ''}#${element.id} ${element.textContent.trim().slice(0, 30)}`;
const wrong = [];
let measured = 0;

function check(element, what, colour, under, least) {
  measured += 1;
  const found = contrast(element, colour, under);
  if (found < least) wrong.push(`${what} ${called(element)}: ${found.toFixed(2)} < ${least}`);
}

for (const element of document.body.querySelectorAll('*')) {
  if (element.closest('template, noscript, title, option') || !isSeen(element)) continue;
  const style = getComputedStyle(element);
  if (hasText(element)) {
    const colour = element instanceof SVGElement ? style.fill : style.color;
    check(element, 'text', colour, behind(ancestors(element)), leastOf(style));
  }
  if (element.placeholder) {
    check(element, 'placeholder', getComputedStyle(element, '::placeholder').color, behind(ancestors(element)), LEAST_TEXT);
  }
  for (const [selector, part] of Object.entries(MARKS)) {
    if (element.matches(selector)) check(element, 'mark', style[part], behind(ancestors(element).slice(1)), LEAST_MARK);
  }
}
return { measured, wrong };
