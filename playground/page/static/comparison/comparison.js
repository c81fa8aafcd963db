const cells = (tag, texts) => texts.map((text, i) => el(tag, tag === 'td' && i ? 'number' : '', text));
const table = (heads, rows) => el('div', 'sideways', el('table', '', el('thead', '', el('tr', '', ...cells('th', heads))), el('tbody', '', ...rows.map(([name, ...rest]) => el('tr', '', el('th', '', name), ...rest.map(value => el('td', 'number', value)))))));
const naming = (letter, e) => el('div', '', el('dt', '', letter), el('dd', '', el('b', '', `${e.kind} of ${when(e.made_at)}`), el('span', '', [e.model, e.mode].filter(Boolean).join(' · '))));
const chart = (v, c) => button('small', () => trigger('export', { id: v.a.id, other: v.b.id, what: c.name }), c.title + ' as PNG');
const body = v => [
  v.differing.length ? section('Settings that differ', el('p', 'quiet', 'The ratios below reflect these differences too.'), table(['', 'A', 'B'], v.differing)) : null,
  v.sharing.length ? section('What sharing the machine costs', el('p', 'quiet', 'Tokens per second: alone, beside the other lanes, and the ratio.'), table(['Lane', 'In turn', 'Together', 'Ratio'], v.sharing), el('p', 'actions', ...v.charts.map(c => chart(v, c)))) : null,
  ...v.lanes.map(l => section(l.lane, l.rows.length ? table(['', 'A', 'B', 'B / A'], l.rows) : el('p', 'quiet', 'No figures.'))),
].filter(Boolean);
const draw = () => {
  const v = props.value;
  const box = element.querySelector('.pair');
  if (!box) return;
  box.hidden = !v;
  if (!v) return;
  box.querySelector('.two').replaceChildren(naming('A', v.a), naming('B', v.b));
  box.querySelector('.body').replaceChildren(...body(v));
};
element.addEventListener('click', e => { if (e.target.closest('.back')) trigger('back'); });
watch('value', draw);
draw();
