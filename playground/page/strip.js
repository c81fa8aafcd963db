const line = history => history
  .map((p, i) => p === null ? null : `${120 - history.length + i},${27 - 26 * Math.min(100, p) / 100}`)
  .filter(Boolean).join(' ');
const draw = () => {
  const v = props.value;
  const strip = element.querySelector('.strip');
  if (!v || !strip) return;
  for (const name of ['cpu', 'memory']) {
    const gauge = strip.querySelector(`[data-gauge=${name}]`);
    gauge.querySelector('b').textContent = v[name] === null ? 'n/a' : v[name] + ' %';
    gauge.querySelector('polyline').setAttribute('points', line(v[name + '_history']));
  }
  strip.querySelector('[data-gauge=memory] small').textContent = v.memory_text;
  strip.querySelector('.busy').classList.toggle('on', v.busy);
  strip.querySelector('.busy span').textContent = v.busy ? 'engines busy' : 'engines free';
};
watch('value', draw);
draw();
