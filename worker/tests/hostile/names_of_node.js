// Kind: raw
// Threat: no way out of the sandbox through names that Node has
// Expect: completed ["undefined","undefined","undefined","undefined","undefined","undefined","undefined"]
return ['require', 'process', 'Buffer', 'global', 'WebAssembly', 'SharedArrayBuffer', 'Atomics'].map(name => typeof globalThis[name]);
