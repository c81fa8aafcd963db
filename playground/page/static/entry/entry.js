const FILES = [['json', 'JSON'], ['csv', 'CSV'], ['markdown', 'Markdown']];
let asking = false; // whether it is to be deleted
const press = (label, className, does) => button('small ' + className, does, label);
const copy = async (e, v) => {
  try {
    await navigator.clipboard.writeText(v.markdown);
    text(e.target, 'Copied');
  } catch { // no permission: it can be copied by hand
    const shown = el('pre', 'by-hand', v.markdown);
    e.target.closest('.doing').append(shown);
    getSelection().selectAllChildren(shown);
  }
};
const doing = v => {
  const send = (event, more) => () => trigger(event, { id: v.id, ...more });
  if (asking) {
    const yes = press('Delete', 'danger yes', () => { asking = false; trigger('erase', { id: v.id }); });
    const no = press('Keep', 'no', () => { asking = false; draw(); });
    return el('div', 'confirm', el('p', '', "Delete this? This can't be undone."), el('div', 'buttons', yes, no));
  }
  return el('div', 'actions',
    v.repeatable ? press('Repeat with the same settings', 'repeat', send('repeat')) : null,
    press('Compare with …', 'with', send('choose')),
    el('span', '', 'Export'),
    ...FILES.map(([what, label]) => press(label, what, send('export', { what }))),
    press('Copy Markdown', 'copy', e => copy(e, v)),
    press('Delete …', 'danger erase', () => { asking = true; draw(); element.querySelector('.no').focus(); }));
};
const charts = v => v.charts.length ? el('div', 'actions', el('span', '', 'Charts as PNG'),
  ...v.charts.map(c => press(c.title, 'chart', () => trigger('export', { id: v.id, what: c.name })))) : null;
const spark = g => {
  const svg = curve(100, 'polyline');
  svg.firstElementChild.setAttribute('points', g.points.map(([x, y]) => `${x},${23 - 22 * y / 100}`).join(' '));
  return el('div', 'gauge', el('p', 'gauge-label', g.label), el('p', 'gauge-value', el('b', '', g.value), el('span', '', g.unit)), svg);
};
const terms = (className, pairs) => el('dl', className, ...pairs.map(([name, value]) => el('div', '', el('dt', '', name), el('dd', '', value))));
const words = prompt => { const p = el('p', 'words', prompt); p.tabIndex = 0; return p; };
const lane = (l, contended) => {
  const head = el('header', '', el('p', 'chips', el('span', 'chip device', l.device), el('span', 'chip', l.precision)), el('p', 'state', el('i'), el('span', '', l.label)));
  const node = el('article', 'card kept', el('h4', '', l.engine), head, el('p', 'hardware', l.hardware), el('p', 'recipe', l.recipe),
    el('p', 'big' + (l.tps === 'n/a' ? ' unknown' : ''), el('b', '', l.tps), el('span', '', 'tokens/s' + (contended ? ', contended' : ''))),
    terms('', l.figures), el('p', 'proof', l.proof), el('p', 'ending', l.detail),
    l.message ? el('p', 'error', el('b', '', l.message), ' ', l.fix) : null, l.answer ? words(l.answer) : null);
  node.dataset.state = l.state;
  node.dataset.lane = l.lane;
  return node;
};
const piece = ([op, words]) => op === 'equal' ? words : el(op === 'delete' ? 'del' : 'ins', '', words);
const agreeing = (v, a) => {
  const line = r => {
    const open = r.lane === a.differing;
    const toggle = press(open ? 'Hide the difference' : 'Show the difference', 'differ', () => trigger('differ', { id: v.id, lane: open ? '' : r.lane }));
    toggle.setAttribute('aria-expanded', open);
    return el('li', '', el('b', '', r.label), el('span', '', r.text), toggle,
      open ? el('div', 'difference', el('p', 'legend', el('del', '', 'only in the reference'), el('ins', '', 'only in this answer')), el('p', 'words', ...a.pieces.map(piece))) : null);
  };
  return section('Agreement', el('p', 'quiet', `With ${a.reference}, the highest precision of this run. Agreement is not quality: two good answers may differ early on.`), el('ul', 'agreeing', ...a.rows.map(line)));
};
const figure = ([median, spread]) => el('td', 'number', median, spread ? el('small', '', spread) : null);
const measured = r => {
  const state = el('td', '', r.label, r.error ? el('small', 'bad', r.error) : null);
  return el('tr', '', el('th', '', r.lane), ...[r.prompt_tokens, r.new_tokens].map(n => el('td', 'number', n)), ...r.figures.map(figure), ...[r.load, r.memory].map(n => el('td', 'number', n)), state);
};
const bench = rows => section('Medians, with p5–p95', el('div', 'sideways', el('table', '',
  el('thead', '', el('tr', '', ...['Lane', 'Prompt tokens', 'New tokens', 'TTFT ms', 'TPOT ms', 'tokens/s', 'J/token', 'Load s', 'Memory', 'State'].map(h => el('th', '', h)))),
  el('tbody', '', ...rows.map(measured)))));
const body = v => [
  v.prompt ? section('Prompt', words(v.prompt)) : null,
  v.system ? section('System prompt', words(v.system)) : null,
  v.settings.length ? section('Settings', terms('settings', v.settings)) : null,
  v.lanes.length ? el('div', 'lanes', ...v.lanes.map(l => lane(l, v.mode.includes('contended')))) : null,
  v.bench.length ? bench(v.bench) : null,
  v.agreement ? agreeing(v, v.agreement) : null,
  v.gauges.length ? section('Average load during the run', el('div', 'gauges', ...v.gauges.map(spark))) : null,
].filter(Boolean);
let shown = null; // the id of what is open
const draw = () => {
  const v = props.value;
  const box = element.querySelector('.opened');
  if (!box) return;
  box.hidden = !v;
  if (!v || v.id !== shown) asking = false;
  if (v && v.id !== shown) box.scrollIntoView({ block: 'nearest' });
  shown = v ? v.id : null;
  if (!v) return;
  text(box.querySelector('h2'), `${v.kind} of ${when(v.made_at)}`);
  text(box.querySelector('header p'), [v.model, v.mode].filter(Boolean).join(' · '));
  box.querySelector('.doing').replaceChildren(...[doing(v), charts(v)].filter(Boolean));
  box.querySelector('.body').replaceChildren(...body(v));
};
element.addEventListener('click', e => { if (e.target.closest('[data-event]')) trigger('back'); });
watch('value', draw);
draw();
