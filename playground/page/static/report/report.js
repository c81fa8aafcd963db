const report = () => element.querySelector('.report');
const say = told => text(report().querySelector('span'), told);
const copy = async () => {
  try {
    await navigator.clipboard.writeText(props.value);
    say('Copied.');
  } catch {
    getSelection().selectAllChildren(report().querySelector('pre'));
    say('Selected: press Ctrl+C.');
  }
};
const download = () => {
  const link = el('a');
  link.href = URL.createObjectURL(new Blob([props.value], { type: 'text/markdown' }));
  link.download = 'playground-report.md';
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
};
const draw = () => {
  if (!report()) return;
  report().hidden = !props.value;
  text(report().querySelector('pre'), props.value || '');
  say('It names neither you nor yours: attach it to a bug report.');
};
element.addEventListener('click', e => {
  if (e.target.closest('.copy')) copy();
  if (e.target.closest('.download')) download();
});
watch('value', draw);
draw();
