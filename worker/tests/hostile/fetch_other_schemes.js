// Threat: schemes that are not the web
// Expect: completed [true,true,true]
async function main() {
  const refused = [];
  for (const url of ['file:///etc/passwd', 'ftp://example.com/', 'gopher://example.com/']) {
    refused.push(await fetch(url).then(() => false, error => error instanceof TypeError));
  }
  return refused;
}
