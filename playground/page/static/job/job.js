const draw = () => {
  const v = props.value;
  const job = element.querySelector('.job');
  if (!v || !job) return;
  const percentage = progress(job.querySelector('.progress'), v.state === 'working', v.fraction);
  job.hidden = v.state === 'idle';
  job.dataset.state = v.state;
  text(job.querySelector('h3'), v.title);
  text(job.querySelector('.state span'), (v.label || v.state) + percentage);
  text(job.querySelector('.detail'), v.detail);
  job.querySelector('.cancel').hidden = !v.cancel;
  job.querySelector('ul').replaceChildren(...v.items.map(item => {
    const line = el('li', '', el('i'), el('b', '', item.text), el('span', '', item.label));
    line.dataset.state = item.state;
    if (item.note) line.append(el('p', '', ...linked(item.note)));
    return line;
  }));
};
element.addEventListener('click', e => { if (e.target.closest('.cancel')) trigger('cancel'); });
watch('value', draw);
draw();
