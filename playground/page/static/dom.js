// Elements are built from text, never from markup: no text of a model or a path can become a tag.
const el = (tag, className, ...inside) => {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...inside.filter(node => node !== null && node !== undefined && node !== ''));
  return node;
};
const text = (node, value) => { if (node.textContent !== value) node.textContent = value; };
const button = (className, press, ...inside) => Object.assign(el('button', className, ...inside), { type: 'button', onclick: press });
const section = (title, ...inside) => el('section', '', el('h3', '', title), ...inside);
// A curve, 24 units high, to be filled with points.
const curve = (width, ...shapes) => {
  const make = name => document.createElementNS('http://www.w3.org/2000/svg', name);
  const svg = make('svg');
  for (const [name, value] of [['viewBox', `0 0 ${width} 24`], ['preserveAspectRatio', 'none'], ['aria-hidden', 'true']]) svg.setAttribute(name, value);
  svg.append(...shapes.map(make));
  return svg;
};
// Draws a progress bar; fraction: null if it is not known. Returns the percentage to be shown.
const progress = (bar, working, fraction) => {
  const known = fraction !== null, percent = Math.round(100 * fraction);
  bar.classList.toggle('on', working);
  bar.classList.toggle('unknown', working && !known);
  bar.firstElementChild.style.width = known ? percent + '%' : '';
  if (known) bar.setAttribute('aria-valuenow', percent);
  else bar.removeAttribute('aria-valuenow');
  return working && known ? ` ${percent} %` : '';
};
// A sentence with its web addresses as links.
const linked = sentence => sentence.split(/(https?:\/\/[^\s<>"']*[\w/])/).map(part => {
  if (!/^https?:\/\//.test(part)) return part;
  const link = el('a', '', part);
  Object.assign(link, { href: part, rel: 'noopener noreferrer', target: '_blank' });
  return link;
});
// ISO 8601 in UTC → local time in the browser's language.
const when = iso => new Date(iso).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
