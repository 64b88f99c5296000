#!/usr/bin/env node
// Makes native/api.gen.c and src/api.gen.ts from sdk/api.json: the members of
// all structs, and for each function what its parameters are and a typed call.
//
//   node native/gen.mjs            writes the two files
//   node native/gen.mjs --check    fails when they are not what api.json says
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const api = JSON.parse(readFileSync(join(here, "../../api.json"), "utf8"));

// Handles that JavaScript holds, with the function that frees each.
const HANDLES = {
  msb_home: "msb_home_free",
  msb_image: "msb_image_free",
  msb_sandbox: "msb_sandbox_free",
  msb_exec: "msb_exec_free",
  msb_logs: "msb_logs_free",
  msb_file: "msb_file_close",
};
// Those that many threads may use at once (and images, which only tell).
const SHARED = new Set(["msb_home", "msb_image", "msb_sandbox"]);
// Lists that are read at once and given back: count, item and free.
const LISTS = {
  msb_sandbox_list: ["msb_sandbox_list_count", "msb_sandbox_list_get", "msb_sandbox_list_free"],
  msb_plan: ["msb_plan_count", "msb_plan_get", "msb_plan_free"],
  msb_report: ["msb_report_count", "msb_report_get", "msb_report_free"],
  msb_volumes: ["msb_volumes_count", "msb_volumes_get", "msb_volumes_free"],
  msb_snapshots: ["msb_snapshots_count", "msb_snapshots_get", "msb_snapshots_free"],
  msb_file_list: ["msb_file_list_count", "msb_file_list_get", "msb_file_list_free"],
};
// Structs that come by pointer and are given back.
const OWNED = { msb_sandbox_info: "msb_sandbox_info_free", msb_output: "msb_output_free" };
// Numbers of 64 bits that use all of them: BigInt in JavaScript.
const BIG = new Set(["session"]);
// Only the addon itself calls these.
const INTERNAL = new Set([
  ...Object.values(HANDLES),
  ...Object.values(LISTS).flat(),
  ...Object.values(OWNED),
  "msb_cancel_new",
  "msb_cancel_use",
  "msb_cancel_fire",
  "msb_cancel_reset",
  "msb_cancel_free",
  "msb_strings_free",
  "msb_free",
  "msb_image_list_free",
]);

const SCALARS = {
  int: "I32",
  int32_t: "I32",
  uint32_t: "U32",
  uint16_t: "U16",
  int64_t: "I64",
  uint64_t: "U64",
  size_t: "SIZE",
};
const struct = (type) => /^(?:const )?struct (\w+) \*$/.exec(type)?.[1];
const isHandle = (name) => name in HANDLES;

function member(s, m) {
  const row = (kind, sub = "0") => `\t{"${m.name}", K_${kind}, ${m.offset}, ${sub}},`;
  if (m.name === "size" && m.offset === 0) return row("STRUCT_SIZE");
  if (BIG.has(m.name)) return row("BIG");
  if (m.type in SCALARS) return row(SCALARS[m.type]);
  if (m.type === "const char *") return row("STR");
  if (m.type === "const char *const *") return row("STRS");
  let hit;
  if ((hit = /^const struct (\w+) \*const \*$/.exec(m.type))) return row("LIST", `SHAPE_${hit[1]}`);
  if ((hit = struct(m.type)) && isHandle(hit)) return row("HANDLE", `TYPE_${hit}`);
  if (hit) return row("STRUCT", `SHAPE_${hit}`);
  if ((hit = /^struct (\w+)$/.exec(m.type))) return row("EMBED", `SHAPE_${hit[1]}`);
  if (m.type === "const void *") {
    const len = s.members.find((o) => o.name === `${m.name}_len` || (m.name === "data" && o.name === "len"));
    return row("BYTES", String(len.offset));
  }
  if (m.type === "msb_pull_event_fn") return row("PULL_EVENT");
  if (m.type === "msb_copy_event_fn") return row("COPY_EVENT");
  if (m.type === "void *" && m.name === "event_arg") return row("EVENT_ARG");
  if (/^char\[\d+\]$/.test(m.type)) return row("CHARS");
  throw new Error(`no kind for ${s.name}.${m.name}: ${m.type}`);
}

function params(f) {
  const out = [];
  if (INTERNAL.has(f.name)) return out;
  for (let i = 0; i < f.params.length; i++) {
    const { name, type } = f.params[i];
    const next = f.params[i + 1];
    const add = (kind, sub = "0") => out.push(`{P_${kind}, ${sub}}`);
    let hit;
    if (type === "struct msb_error *") add("ERROR");
    else if (type in SCALARS) add(BIG.has(name) ? "BIG" : SCALARS[type]);
    else if (type === "const char *") add("STR");
    else if (type === "const char *const *") add("STRS");
    else if (type === "const void *" && next?.type === "size_t") {
      add("BYTES");
      add("LEN");
      i++;
    } else if (type === "void *" && next?.type === "size_t") {
      add("BUFFER");
      add("LEN");
      i++;
    } else if (type === "void **" && next?.type === "size_t *") {
      add("BYTES_OUT");
      add("LEN_OUT");
      i++;
    } else if (type === "char ***") add("STRS_OUT");
    else if (type === "char **") add("STR_OUT");
    else if (type === "uint64_t *") add("U64_OUT");
    else if (type === "uint32_t *") add("U32_OUT");
    else if (type === "int *") add("I32_OUT");
    else if ((hit = /^struct (\w+) \*\*\*$/.exec(type)?.[1]) && next?.type === "size_t *") {
      add("HANDLES_OUT", `TYPE_${hit}`);
      add("LEN_OUT");
      i++;
    } else if ((hit = /^struct (\w+) \*\*$/.exec(type)?.[1])) {
      if (isHandle(hit)) add("HANDLE_OUT", `TYPE_${hit}`);
      else if (hit in LISTS) add("LIST_OUT", `LIST_${hit}`);
      else if (hit in OWNED) add("OWNED_OUT", `OWNED_${hit}`);
      else throw new Error(`${f.name}: ${type}`);
    } else if ((hit = struct(type)) && isHandle(hit)) add("HANDLE", `TYPE_${hit}`);
    else if (hit && type.startsWith("const ")) add("OPTS", `SHAPE_${hit}`);
    else if (hit) add("FILL", `SHAPE_${hit}`);
    else throw new Error(`${f.name}: ${type} ${name}`);
  }
  return out;
}

function returns(f) {
  const t = f.returns;
  if (t === "void" || INTERNAL.has(f.name)) return "R_VOID, 0";
  if (t === "const char *") return "R_STR, 0";
  if (t === "const char *const *") return "R_STRS, 0";
  if (t === "uint64_t") return "R_BIG, 0";
  const hit = struct(t);
  if (hit) return `R_STRUCT, SHAPE_${hit}`;
  // Events and entries come one by one, until 0 is returned.
  if (f.name.endsWith("_next")) return "R_NEXT, 0";
  return "R_INT, 0";
}

function thunk(f) {
  const args = f.params.map((_, i) => {
    const t = f.params[i].type;
    return t.endsWith("*") ? `v[${i + 1}].p` : `(${t})v[${i + 1}].i`;
  });
  const call = `((__typeof__(&${f.name}))fn)(${args.join(", ")})`;
  const kind = f.returns.endsWith("*")
    ? `v[0].p = (void *)${call};`
    : f.returns === "void"
      ? `${call};`
      : `v[0].i = (int64_t)${call};`;
  return `static void call_${f.name}(void *fn, union val *v)\n{\n${f.params.length || f.returns !== "void" ? "" : "\t(void)v;\n"}\t${kind}\n}\n`;
}

const lists = Object.entries(LISTS);
const item = (get) => struct(api.functions.find((f) => f.name === get).returns);

function c() {
  const o = ["/* Made by gen.mjs from sdk/api.json: do not edit. */", "/* clang-format off */", '#include "api.h"', ""];
  o.push(`enum { ${api.structs.map((s) => `SHAPE_${s.name}`).join(",\n       ")} };`);
  o.push(
    `enum { ${Object.keys(HANDLES)
      .map((h) => `TYPE_${h}`)
      .join(", ")} };`,
  );
  o.push(
    `enum { ${Object.keys(LISTS)
      .map((h) => `LIST_${h}`)
      .join(", ")} };`,
  );
  o.push(
    `enum { ${Object.keys(OWNED)
      .map((h) => `OWNED_${h}`)
      .join(", ")} };`,
  );
  o.push(`enum { ${api.functions.map((f) => `FN_${f.name}`).join(",\n       ")} };`, "");
  for (const s of api.structs) {
    o.push(`static const struct member members_${s.name}[] = {`, ...s.members.map((m) => member(s, m)), "};");
    for (const m of s.members)
      o.push(`_Static_assert(offsetof(struct ${s.name}, ${m.name}) == ${m.offset}, "${s.name}.${m.name}");`);
  }
  o.push("", "const struct shape shapes[] = {");
  for (const s of api.structs) {
    o.push(
      `\t[SHAPE_${s.name}] = {"${s.name}", sizeof(struct ${s.name}), members_${s.name},`,
      `\t\tsizeof(members_${s.name}) / sizeof(struct member)},`,
    );
  }
  o.push("};", "const size_t shape_count = sizeof(shapes) / sizeof(shapes[0]);", "");
  o.push(
    "const struct handle_type handle_types[] = {",
    ...Object.entries(HANDLES).map(([h, free]) => `\t[TYPE_${h}] = {"${h}", FN_${free}, ${SHARED.has(h) ? 1 : 0}},`),
    "};",
  );
  o.push(
    "const struct list_type list_types[] = {",
    ...lists.map(
      ([l, [count, get, free]]) => `\t[LIST_${l}] = {FN_${count}, FN_${get}, FN_${free}, SHAPE_${item(get)}},`,
    ),
    "};",
  );
  o.push(
    "const struct owned_type owned_types[] = {",
    ...Object.entries(OWNED).map(([s, free]) => `\t[OWNED_${s}] = {SHAPE_${s}, FN_${free}},`),
    "};",
    "",
  );
  for (const f of api.functions) o.push(thunk(f));
  o.push("const struct func funcs[] = {");
  for (const f of api.functions) {
    const p = params(f);
    o.push(
      `\t[FN_${f.name}] = {"${f.name}", call_${f.name}, ${returns(f)}, ${INTERNAL.has(f.name) ? 1 : 0}, ${p.length},`,
      `\t\t{${p.length ? p.join(", ") : "{0, 0}"}}},`,
    );
  }
  o.push("};", "const size_t func_count = sizeof(funcs) / sizeof(funcs[0]);", "");
  o.push("const struct known known = {");
  for (const n of [
    "cancel_new",
    "cancel_use",
    "cancel_fire",
    "cancel_reset",
    "cancel_free",
    "strings_free",
    "free",
    "image_list_free",
  ])
    o.push(`\t.${n} = FN_msb_${n},`);
  o.push(
    "};",
    "const int pull_event_shape = SHAPE_msb_pull_event;",
    "const int copy_event_shape = SHAPE_msb_copy_event;",
    "",
  );
  return o.join("\n");
}

function ts() {
  const o = ["// Made by native/gen.mjs from sdk/api.json: do not edit.", ""];
  o.push("/** What the addon can call. */", "export type NativeFunction =");
  const names = api.functions.filter((f) => !INTERNAL.has(f.name)).map((f) => `  | "${f.name}"`);
  o.push(`${names.join("\n")};`, "");
  for (const e of api.enums) {
    o.push(
      `export const ${e.name} = {`,
      ...Object.entries(e.values).map(([k, v]) => `  ${k}: ${v},`),
      "} as const;",
      "",
    );
  }
  o.push(
    "export const limits = {",
    ...Object.entries(api.constants).map(([k, v]) => `  ${k}: ${v},`),
    "} as const;",
    "",
  );
  return o.join("\n");
}

let bad = 0;
for (const [path, text] of [
  ["api.gen.c", c()],
  ["../src/api.gen.ts", ts()],
]) {
  const file = join(here, path);
  if (!process.argv.includes("--check")) writeFileSync(file, text);
  else if (readFileSync(file, "utf8") !== text) {
    console.error(`gen: ${path} is not what api.json says`);
    bad = 1;
  }
}
process.exit(bad);
