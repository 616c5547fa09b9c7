test('append, get, getAll, has, set, delete', () => {
  const form = new FormData();
  form.append('a', 1);
  form.append('a', 'x');
  form.append('b', null);
  equal([form.get('a'), form.get('none'), form.has('b'), form.has('none')], ['1', null, true, false]);
  equal(form.getAll('a'), ['1', 'x']);
  form.set('a', 'only');
  equal([...form], [['a', 'only'], ['b', 'null']]);
  form.delete('a');
  equal([...form.keys()], ['b']);
});
test('blobs become files', () => {
  const form = new FormData();
  form.append('a', new Blob(['x'], { type: 'a/b' }));
  form.append('b', new Blob(['x']), 'name.txt');
  form.append('c', new File(['x'], 'own.txt'));
  form.append('d', new File(['x'], 'own.txt'), 'other.txt');
  equal(['a', 'b', 'c', 'd'].map((name) => form.get(name).name), ['blob', 'name.txt', 'own.txt', 'other.txt']);
  assert(form.get('a') instanceof File);
  equal(form.get('a').type, 'a/b');
});
test('a file name goes with blobs only', () => throws(TypeError, () => new FormData().append('a', 'text', 'name')));
test('there are no forms to read', () => throws(TypeError, () => new FormData({})));
test('text is well-formed', () => {
  const form = new FormData();
  form.append('a\ud800', 'b\udc00');
  equal([...form], [['a\ufffd', 'b\ufffd']]);
});
test('multipart goes round', async () => {
  const form = new FormData();
  form.append('text', 'line 1\nline 2\r\nline 3');
  form.append('qu"ote\r\n', 'v');
  form.append('file', new File([bytes(0, 13, 10, 45, 45, 255)], 'bin "x".dat', { type: 'application/x' }));
  form.append('empty', '');
  form.append('none', new Blob([]));
  const response = new Response(form);
  assert(/^multipart\/form-data; boundary=-*[a-z0-9-]+$/.test(response.headers.get('content-type')), response.headers.get('content-type'));
  const back = await response.formData();
  equal([...back.keys()], ['text', 'qu"ote\r\n', 'file', 'empty', 'none']);
  equal(back.get('text'), 'line 1\r\nline 2\r\nline 3');
  equal([back.get('file').name, back.get('file').type], ['bin "x".dat', 'application/x']);
  equal([...await back.get('file').bytes()], [0, 13, 10, 45, 45, 255]);
  equal([back.get('empty'), back.get('none').size], ['', 0]);
});
test('the bytes are those of browsers', async () => {
  const form = new FormData();
  form.append('a', 'b');
  form.append('f', new Blob(['x'], { type: 'text/plain' }), 'n.txt');
  const response = new Response(form);
  const boundary = response.headers.get('content-type').split('boundary=')[1];
  equal(await response.text(), `--${boundary}\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n`
    + `--${boundary}\r\nContent-Disposition: form-data; name="f"; filename="n.txt"\r\nContent-Type: text/plain\r\n\r\nx\r\n--${boundary}--\r\n`);
});
test('reads what others write', async () => {
  const read = (body, boundary = 'B') => new Response(body, { headers: { 'content-type': `multipart/form-data; boundary="${boundary}"` } }).formData();
  const form = await read('preamble\r\n--B\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--B  \r\ncontent-type: text/css\r\n'
    + 'CONTENT-DISPOSITION: form-data; filename="f"; name="b"\r\nX-Other: y\r\n\r\nbody\r\n--B--\r\nepilogue');
  equal(form.get('a'), '1');
  equal([form.get('b').name, form.get('b').type, await form.get('b').text()], ['f', 'text/css', 'body']);
  equal([...await read('--B--')], []);
  for (const broken of ['', '--B', '--B\r\n\r\n', '--B\r\nContent-Disposition: form-data\r\n\r\nx\r\n--B--', '--B\r\nContent-Disposition: form-data; name="a"\r\n\r\nx', '--C--']) {
    await rejects(TypeError, read(broken), show(broken));
  }
});
test('iterates', () => {
  const form = new FormData();
  form.append('a', '1');
  const seen = [];
  form.forEach((value, name) => seen.push([name, value]));
  equal(seen, [['a', '1']]);
  equal(Object.prototype.toString.call(form.entries()), '[object FormData Iterator]');
});
