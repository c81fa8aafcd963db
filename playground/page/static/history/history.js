let asking = false; // whether all are to be deleted
const tps = l => {
  const figure = l.state === 'ok' || l.tps !== 'n/a' ? el('b', '', l.tps, el('small', '', ' tok/s' + l.at)) : el('b', 'bad', l.label);
  return el('li', '', el('span', '', l.lane), figure);
};
const row = r => {
  const top = el('p', 'top', el('time', '', when(r.made_at)), el('span', '', r.kind), el('span', '', r.mode), el('span', '', r.model));
  const inside = [top, r.prompt ? el('p', 'prompt', r.prompt) : null, el('ul', 'lanes', ...r.lanes.map(tps))];
  return el('li', '', button('run', () => trigger('open', { id: r.id }), ...inside));
};
const draw = () => {
  const v = props.value;
  const box = element.querySelector('.history');
  if (!v || !box) return;
  const part = name => box.querySelector(name);
  box.dataset.owner = v.owner;
  part('.why').hidden = !v.why;
  part('.why').classList.toggle('bad', v.error);
  text(part('.why'), v.why);
  part('.choosing').hidden = !v.comparing;
  if (v.comparing) text(part('.choosing p'), `Choose what to compare with the ${v.comparing.kind.toLowerCase()} of ${when(v.comparing.made_at)}.`);
  part('.runs').replaceChildren(...v.rows.map(row));
  part('.more').hidden = !v.more;
  const several = v.owner && v.total > 0 && !v.comparing;
  if (!several) asking = false;
  part('.all').hidden = !several || asking;
  text(part('.total'), several && !asking ? `${v.total.toLocaleString()} on this machine` : '');
  part('.confirm').hidden = !asking;
  text(part('.confirm p'), `Delete all ${v.total}? This can't be undone.`);
};
const ask = wanted => { asking = wanted; draw(); element.querySelector(wanted ? '.no' : '.all').focus(); };
element.addEventListener('click', e => {
  const pressed = name => e.target.closest(name);
  if (pressed('.more')) trigger('more');
  if (pressed('.cancel')) trigger('back');
  if (pressed('.all')) ask(true);
  if (pressed('.no')) ask(false);
  if (pressed('.yes')) { asking = false; trigger('erase'); draw(); }
});
watch('value', draw);
draw();
