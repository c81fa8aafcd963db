const draw = () => {
  const v = props.value;
  const card = element.querySelector('.card');
  if (!v || !card) return;
  card.querySelectorAll('[data-text]').forEach(n => text(n, String(v[n.dataset.text] ?? '')));
  card.dataset.state = v.state;
  card.querySelector('.big').classList.toggle('unknown', v.tps === 'n/a');
  card.querySelector('.hardware').title = [v.hardware, v.version].filter(Boolean).join('\n');
  card.querySelectorAll('.about p, .proof').forEach(n => { n.title = n.textContent; });
  const working = ['wait', 'fetch', 'convert', 'load'].includes(v.state);
  const percentage = progress(card.querySelector('.progress'), working, v.fraction);
  text(card.querySelector('[data-text=label]'), v.label + percentage);
  card.querySelector('.stop-one').hidden = v.state !== 'running';
  card.querySelector('.error').hidden = !v.message;
};
element.addEventListener('click', e => { if (e.target.closest('.stop-one')) trigger('click'); });
watch('value', draw);
draw();
