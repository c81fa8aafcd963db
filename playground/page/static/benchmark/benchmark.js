const COLUMNS = [
  ['Prompt', 'tokens'],
  [null, 'new tokens per second after the first token, with p5–p95'],
  ['TTFT ms', 'time to the first token'],
  ['TPOT ms', 'time for each token after the first'],
  ['J/token', 'energy per token'],
  ['MBU', 'memory bandwidth utilization: the share of the memory copy bandwidth used to read the weights'],
];
const heading = rate => el('thead', '', el('tr', '', ...COLUMNS.map(([name, title]) => {
  const cell = name ? el('th', '', name) : el('th', '', rate, el('small', '', 'p5–p95'));
  cell.title = title;
  return cell;
})));
const wide = (tag, className, span, ...inside) => {
  const cell = el(tag, className, ...inside);
  cell.colSpan = span;
  return cell;
};
const figure = value => el('td', value === 'n/a' ? 'unknown' : '', value);
const row = r => {
  const figures = [el('td', r.rate === 'n/a' ? 'unknown' : 'rate', r.rate, r.spread === 'n/a' ? null : el('small', '', r.spread)), ...r.others.map(figure)];
  const line = el('tr', '', el('th', '', r.prompt), ...(r.begun ? figures : [wide('td', 'none', 5, r.waiting)]));
  line.dataset.state = r.state;
  if (!r.note) return [line];
  const noted = el('tr', 'row-note', wide('td', '', 6, ...linked(r.note)));
  noted.dataset.state = r.state;
  return [line, noted];
};
const group = g => {
  const name = el('p', '', el('b', '', g.engine), el('span', 'chip device', g.device), el('span', 'chip', g.precision), el('span', 'on-device', g.hardware));
  return el('tbody', '', el('tr', 'lane-name', wide('th', '', 6, name, g.about ? el('p', 'about-lane', g.about) : null)), ...g.rows.flatMap(row));
};
const picture = (src, theme, title) => Object.assign(el('img', theme), { src, alt: title });
const chart = (c, owner) => {
  const save = button('small save', () => trigger('save', { kind: 'png', name: c.name }), 'Save as PNG');
  save.setAttribute('aria-label', `Save as PNG: ${c.title}`);
  const about = el('figcaption', '', el('span', '', c.about), owner ? save : null);
  return el('figure', '', picture(c.light, 'in-light', c.title), picture(c.dark, 'in-dark', c.title), about);
};
const copy = async () => {
  const markdown = element.querySelector('pre'), status = element.querySelector('.actions span');
  try {
    await navigator.clipboard.writeText(props.value.markdown);
    text(status, 'Copied.');
  } catch {
    markdown.hidden = false;
    getSelection().selectAllChildren(markdown);
    text(status, 'Selected: press Ctrl+C.');
  }
};
const draw = () => {
  const v = props.value;
  const box = element.querySelector('.bench');
  if (!v || !box) return;
  const empty = !v.groups.length;
  box.dataset.owner = v.owner;
  box.querySelector('.only-here').hidden = v.owner;
  text(box.querySelector('.how'), v.settings);
  const table = box.querySelector('table');
  table.hidden = empty;
  table.replaceChildren(...(empty ? [] : [heading(v.rate), ...v.groups.map(group)]));
  box.querySelector('.on').replaceChildren(...v.machine.map(line => el('p', '', line)));
  box.querySelector('.actions').hidden = !v.markdown;
  text(box.querySelector('.actions span'), '');
  box.querySelector('pre').hidden = true;
  text(box.querySelector('pre'), v.markdown);
  box.querySelector('.charts').replaceChildren(...v.charts.map(c => chart(c, v.owner)));
};
element.addEventListener('click', e => {
  const save = e.target.closest('[data-kind]');
  if (save) trigger('save', { kind: save.dataset.kind });
  if (e.target.closest('.copy')) copy();
});
watch('value', draw);
draw();
