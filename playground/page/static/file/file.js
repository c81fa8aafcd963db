// Hands a file to the browser as a download.
watch('value', () => {
  const v = props.value;
  if (!v) return;
  const link = el('a');
  link.href = URL.createObjectURL(new Blob([Uint8Array.from(atob(v.data), c => c.charCodeAt(0))]));
  link.download = v.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
});
