let asking = null; // the model whose removal is to be confirmed
const confirmation = row => {
  const box = el('input');
  box.type = 'checkbox';
  const cache = el('label', '', box, ' also from the Hugging Face cache, which other programs share');
  const yes = button('small danger yes', () => { asking = null; trigger('remove', { model: row.model, cache: box.checked }); draw(); }, 'Remove');
  const no = button('small no', () => { asking = null; draw(); }, 'Keep');
  return el('div', 'confirm', el('p', '', `Remove all files of ${row.title}, ${row.size}?`), row.hub ? cache : '', el('div', 'buttons', yes, no));
};
const part = p => el('tr', '', el('th', '', p.what), el('td', '', p.recipe), el('td', 'size', p.size, p.elsewhere ? el('small', '', ' ' + p.elsewhere) : ''));
const article = (row, owner) => {
  const remove = button('small remove', () => { asking = row.model; draw(); }, 'Remove');
  remove.setAttribute('aria-label', 'Remove ' + row.title);
  const head = el('header', '', el('h3', '', row.title), el('p', 'origin', row.origin), el('b', 'size', row.size));
  if (owner && asking !== row.model) head.append(remove);
  const node = el('article', 'model', head);
  if (owner && asking === row.model) node.append(confirmation(row));
  const parts = row.parts.map(part);
  node.append(parts.length ? el('table', '', el('tbody', '', ...parts)) : el('p', 'origin', 'Incomplete: left over from an interrupted preparation.'));
  return node;
};
const draw = () => {
  const v = props.value;
  const box = element.querySelector('.models');
  if (!v || !box) return;
  box.dataset.owner = v.owner;
  box.querySelector('.only-here').hidden = v.owner;
  text(box.querySelector('.summary'), v.rows.length ? v.summary : 'Nothing yet.');
  box.querySelector('.list').replaceChildren(...v.rows.map(row => article(row, v.owner)));
  text(box.querySelector('.others'), v.others.length ? 'Not here yet: ' + v.others.join(', ') + '.' : '');
};
watch('value', draw);
draw();
