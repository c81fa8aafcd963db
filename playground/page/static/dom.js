// Elements are built from text, never from markup: no text of a model or a path can become a tag.
const el = (tag, className, ...inside) => {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...inside.filter(node => node !== null && node !== undefined && node !== ''));
  return node;
};
const text = (node, value) => { if (node.textContent !== value) node.textContent = value; };
// A sentence with its web addresses as links.
const linked = sentence => sentence.split(/(https?:\/\/[^\s<>"']*[\w/])/).map(part => {
  if (!/^https?:\/\//.test(part)) return part;
  const link = el('a', '', part);
  Object.assign(link, { href: part, rel: 'noopener noreferrer', target: '_blank' });
  return link;
});
// ISO 8601 in UTC → local time in the browser's language.
const when = iso => new Date(iso).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
