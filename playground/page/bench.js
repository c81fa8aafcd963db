const COLUMNS = ['Prompt', null, 'p5–p95', 'TTFT ms', 'TPOT ms', 'J/token', 'of roof', 'Load s'];
const TITLES = { 'TTFT ms': 'time to the first token', 'TPOT ms': 'time per token after the first', 'of roof': 'share of what the memory’s copy bandwidth allows' };
const heading = rate => el('tr', '', ...COLUMNS.map(name => {
  const cell = el('th', '', name ?? rate);
  if (TITLES[name]) cell.title = TITLES[name];
  return cell;
}));
const row = r => {
  const line = el('tr', 'figures', el('th', '', r.prompt), el('td', 'rate', r.rate), el('td', 'spread', r.spread), ...r.others.map(each => el('td', each === 'n/a' ? 'unknown' : '', each)));
  line.dataset.state = r.state;
  if (!r.note) return [line];
  const told = el('td', 'told', ...linked(r.note));
  told.colSpan = COLUMNS.length;
  const note = el('tr', '', told);
  note.dataset.state = r.state;
  return [line, note];
};
const group = g => {
  const name = el('th', '', el('b', '', g.engine), el('span', 'chip device', g.device), el('span', 'chip', g.precision), el('span', 'hardware-name', g.hardware), el('small', '', g.about));
  name.colSpan = COLUMNS.length;
  return el('tbody', '', el('tr', 'lane-name', name), ...g.rows.flatMap(row));
};
const picture = (src, theme, title) => {
  const image = el('img', theme);
  Object.assign(image, { src, alt: title });
  return image;
};
const chart = (c, owner) => {
  const save = el('button', 'small save', 'Save as PNG');
  save.type = 'button';
  save.onclick = () => trigger('save', { kind: 'png', name: c.name });
  save.setAttribute('aria-label', `Save ${c.title} as PNG`);
  const about = el('figcaption', '', el('p', '', c.about), owner ? save : null);
  return el('figure', 'chart', picture(c.light, 'light', c.title), picture(c.dark, 'dark-one', c.title), about);
};
const copy = async () => {
  const shown = element.querySelector('pre'), said = element.querySelector('.actions span');
  try {
    await navigator.clipboard.writeText(props.value.markdown);
    text(said, 'Copied.');
  } catch {
    shown.hidden = false;
    getSelection().selectAllChildren(shown);
    text(said, 'Selected: press Ctrl+C.');
  }
};
const draw = () => {
  const v = props.value;
  const box = element.querySelector('.bench');
  if (!v || !box) return;
  const some = v.groups.length > 0;
  box.dataset.owner = v.owner;
  box.querySelector('.only-here').hidden = v.owner;
  text(box.querySelector('.settings'), some ? v.settings : '');
  const table = box.querySelector('table');
  table.hidden = !some;
  if (some) table.replaceChildren(el('thead', '', heading(v.rate)), ...v.groups.map(group));
  box.querySelector('.actions').hidden = !v.markdown;
  text(box.querySelector('.actions span'), '');
  box.querySelector('pre').hidden = true;
  text(box.querySelector('pre'), v.markdown || '');
  box.querySelector('.on').replaceChildren(...(v.machine || []).map(line => el('p', '', line)));
  box.querySelector('.charts').replaceChildren(...(v.charts || []).map(each => chart(each, v.owner)));
};
element.addEventListener('click', e => {
  const button = e.target.closest('[data-kind]');
  if (button) trigger('save', { kind: button.dataset.kind });
  if (e.target.closest('.copy')) copy();
});
watch('value', draw);
draw();
