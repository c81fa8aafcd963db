const draw = () => {
  const v = props.value;
  const note = element.querySelector('.note');
  if (!v || !note) return;
  note.classList.toggle('bad', Boolean(v.bad));
  const line = note.querySelector('p');
  if (line.textContent !== v.text) line.replaceChildren(...linked(v.text));
  const list = note.querySelector('ul');
  list.hidden = !(v.items && v.items.length);
  list.replaceChildren(...(v.items || []).map(each => el('li', '', ...linked(each))));
};
watch('value', draw);
draw();
