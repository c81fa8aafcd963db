const draw = () => {
  const v = props.value;
  const note = element.querySelector('.note');
  if (!v || !note) return;
  note.classList.toggle('bad', v.error);
  const line = note.querySelector('p');
  if (line.textContent !== v.text) line.replaceChildren(...linked(v.text));
  const list = note.querySelector('ul');
  list.hidden = !v.items.length;
  list.replaceChildren(...v.items.map(item => el('li', '', ...linked(item))));
};
watch('value', draw);
draw();
