/** `await using` needs two symbols that early releases of Node.js 20 do not have. */
const known = Symbol as unknown as Record<string, symbol | undefined>;

for (const name of ["dispose", "asyncDispose"]) {
  if (!known[name]) Object.defineProperty(Symbol, name, { value: Symbol.for(`Symbol.${name}`) });
}

export {};
