/** The same for `import`: one implementation, so that classes and the library are there once. */
export * from "./index.js";
