const row = (className, name, about, why) => el('div', className, name, el('div', '', about ? el('p', '', ...about) : null, why ? el('p', 'why', ...linked(why)) : null));
const device = d => {
  const node = row('item', el('p', 'name', el('b', '', d.engine), el('span', 'chip', d.device)), d.there ? [d.name, el('small', '', d.about)] : null, d.there ? '' : d.name);
  node.dataset.there = d.there;
  return node;
};
const hardware = h => row('item', el('p', 'name', el('b', '', 'Built in'), el('span', 'chip', h.kind)), [h.name, el('small', '', h.about)], h.why);
const gauge = g => row('item', el('p', 'name', el('b', '', g.gauge)), g.name || g.about ? [g.name, el('small', '', g.about)] : null, g.why);
const lane = l => {
  const name = el('p', 'name', el('span', 'chip device', l.device), ...l.precisions.map(p => el('span', 'chip', p)));
  const state = el('p', 'state', el('i'), el('span', '', l.label));
  const node = el('div', 'item lane-row', name, state, el('p', 'why', ...linked(l.why)));
  node.dataset.status = l.status;
  return node;
};
const engine = e => el('section', 'engine', el('h3', '', e.engine), ...e.lanes.map(lane));
const draw = () => {
  const v = props.value;
  const box = element.querySelector('.machine');
  if (!v || !box) return;
  box.dataset.owner = v.owner;
  box.querySelector('.only-here').hidden = v.owner;
  text(box.querySelector('.facts'), v.facts.join(' · '));
  box.querySelector('.looking').hidden = !v.looking;
  text(box.querySelector('.looking'), v.looking);
  box.querySelector('.devices').replaceChildren(...v.devices.map(device), ...v.hardware.map(hardware));
  box.querySelector('.gauge-list').replaceChildren(...v.gauges.map(gauge));
  text(box.querySelector('.lanes-title'), 'Lanes' + (v.model ? ', with ' + v.model : ''));
  box.querySelector('.engines').replaceChildren(...v.engines.map(engine));
};
watch('value', draw);
draw();
