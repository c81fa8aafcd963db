const draw = () => {
  const v = props.value;
  const box = element.querySelector('.actions');
  if (!v || !box) return;
  element.querySelector('.only-here').hidden = v.owner;
  box.hidden = !v.owner;
  box.querySelector('[data-event=setup]').hidden = !v.set_up;
};
// Its events: 'free', 'setup', 'report'; “unload” would be the browser's, of a page that is closed.
element.addEventListener('click', e => {
  const button = e.target.closest('[data-event]');
  if (button) trigger(button.dataset.event);
});
watch('value', draw);
draw();
