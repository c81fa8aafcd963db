const tile = () => el('div', 'gauge', el('p', 'gauge-label'), el('p', 'gauge-value', el('b'), el('span')), curve(120, 'polygon', 'polyline'), el('p', 'gauge-detail'));
const show = (node, g) => {
  text(node.querySelector('.gauge-label'), g.label);
  text(node.querySelector('b'), g.value);
  text(node.querySelector('.gauge-value span'), g.unit);
  text(node.querySelector('.gauge-detail'), g.detail);
  node.title = g.detail;
  node.classList.toggle('unknown', g.value === 'n/a');
  const line = g.points.map(([ago, height]) => `${120 - ago},${23 - 22 * height / 100}`);
  node.querySelector('polyline').setAttribute('points', line.join(' '));
  const [from, to] = [g.points[0], g.points[g.points.length - 1]];
  node.querySelector('polygon').setAttribute('points', line.length ? `${120 - from[0]},24 ${line.join(' ')} ${120 - to[0]},24` : '');
};
const draw = () => {
  const v = props.value;
  const strip = element.querySelector('.strip');
  if (!v || !strip) return;
  const box = strip.querySelector('.gauges');
  while (box.children.length > v.gauges.length) box.lastElementChild.remove();
  while (box.children.length < v.gauges.length) box.append(tile());
  v.gauges.forEach((g, i) => show(box.children[i], g));
  text(strip.querySelector('.hint'), v.hint);
  strip.querySelector('.busy').classList.toggle('on', v.busy);
  text(strip.querySelector('.busy span'), v.busy ? 'engines busy' : 'engines free');
};
watch('value', draw);
draw();
