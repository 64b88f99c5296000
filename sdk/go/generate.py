#!/usr/bin/env python3
"""Write the C side of the Go package from the public header.

generate.py            write msb_api.h and msb_shim.c
generate.py --check    fail when they are not what the header says

A Go module carries only what is in its own folders, and `go mod vendor` only
folders with Go files, so the header lives beside them as one file. Each
function of it gets the name msbgo_NAME behind a macro NAME: the library is
opened at run time, and a definition of ours must not take the place of one
inside the library.
"""
import json
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
NOTE = ("/* Made by generate.py from include/microsandbox.h; do not edit. */\n"
        "/* clang-format off */\n")


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as f:
        return f.read()


def header(api):
    """The whole header as one file, with our names for its functions."""
    text = re.sub(r'^#include "(microsandbox/\w+\.h)".*$',
                  lambda m: read("include/" + m.group(1)),
                  read("include/microsandbox.h"), flags=re.M)
    names = "".join(f"#define {f['name']} msbgo_{f['name'][4:]}\n"
                    for f in api["functions"])
    own = """
/* ---- of the shim --------------------------------------------------------- */

/* Open the library: 0, or -1 and why in @message. A fault leaves no trace. */
int msbgo_load(const char *path, char *message, size_t size);
/* Whether the library that was opened has all functions of this header. */
const char *msbgo_lacks(void);
/* Callbacks that hand events to Go; @arg is a runtime/cgo.Handle. */
int msbgo_tell_pull(void *arg, const struct msb_pull_event *event);
int msbgo_tell_copy(void *arg, const struct msb_copy_event *event);
"""
    return (NOTE + "#ifndef MSBGO_API_H\n#define MSBGO_API_H\n\n" + names
            + "\n" + text + own + "\n#endif\n")


def declare(kind, name):
    """A parameter or function pointer of a type as api.json spells it."""
    return f"{kind}{name}" if kind.endswith("*") else f"{kind} {name}"


def absent(f):
    """What a function gives that the library does not have."""
    kind = f["returns"]
    if kind == "void":
        return "return;"
    if any(p["type"] == "struct msb_error *" for p in f["params"]):
        return f'return lacks(error, "{f["name"]}");'
    if kind == "const char *":
        return 'return "";'
    if kind.endswith("*"):
        return "return NULL;"
    return "return 0;"


def forwarder(f):
    """The function that Go calls."""
    params = ", ".join(declare(p["type"], p["name"])
                       for p in f["params"]) or "void"
    args = ", ".join(p["name"] for p in f["params"])
    back = "" if f["returns"] == "void" else "return "
    name = f["name"][4:]
    return (f"{declare(f['returns'], 'msbgo_' + name)}({params})\n{{\n"
            f"\tif (!api.{name}) {absent(f)}\n"
            f"\t{back}api.{name}({args});\n}}\n")


def layouts(api):
    """Refuse to compile where a struct is not as api.json says."""
    out = []
    for s in api["structs"]:
        kind = f"struct {s['name']}"
        out.append(f"_Static_assert(sizeof({kind}) == {s['size']}, \"{s['name']}\");")
        out += [f"_Static_assert(offsetof({kind}, {m['name']}) == {m['offset']}, "
                f"\"{s['name']}.{m['name']}\");" for m in s["members"]]
    return "#ifdef __LP64__\n" + "\n".join(out) + "\n#endif\n"


def shim(api):
    """The table, how it is filled, and the functions that go through it."""
    members = "".join(
        f"\t{declare(f['returns'], '(*' + f['name'][4:] + ')')}("
        + (", ".join(p["type"] for p in f["params"]) or "void") + ");\n"
        for f in api["functions"])
    names = "".join(f'\t{{"{f["name"]}", offsetof(struct api, {f["name"][4:]})}},\n'
                    for f in api["functions"])
    return (NOTE + '#include "msb_api.h"\n\n#include <dlfcn.h>\n#include <stdio.h>\n'
            "#include <string.h>\n\nstatic struct api {\n" + members + "} api;\n\n"
            "static const struct {\n\tconst char *name;\n\tsize_t at;\n} names[] = {\n"
            + names + "};\n" + LOAD + "\n" + layouts(api) + "\n"
            + "\n".join(forwarder(f) for f in api["functions"]))


LOAD = r"""
static const char *lacking;

int msbgo_load(const char *path, char *message, size_t size)
{
	void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	struct api found;

	if (!lib) {
		(void)snprintf(message, size, "%s", dlerror());
		return -1;
	}
	memset(&found, 0, sizeof(found));
	lacking = NULL;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		void *f = dlsym(lib, names[i].name);

		memcpy((char *)&found + names[i].at, &f, sizeof(f));
		if (!f && !lacking)
			lacking = names[i].name;
	}
	if (!found.version || !found.home_open || !found.sandbox_create) {
		(void)snprintf(message, size, "%s is not libmicrosandbox", path);
		(void)dlclose(lib);
		return -1;
	}
	api = found;
	return 0;
}

const char *msbgo_lacks(void)
{
	return lacking ? lacking : "";
}

/* What Go exports: it has no const. */
int msbgo_on_pull(void *arg, struct msb_pull_event *event);
int msbgo_on_copy(void *arg, struct msb_copy_event *event);

int msbgo_tell_pull(void *arg, const struct msb_pull_event *event)
{
	return msbgo_on_pull(arg, (struct msb_pull_event *)event);
}

int msbgo_tell_copy(void *arg, const struct msb_copy_event *event)
{
	return msbgo_on_copy(arg, (struct msb_copy_event *)event);
}

static int lacks(struct msb_error *error, const char *name)
{
	if (error) {
		memset(error, 0, sizeof(*error));
		error->code = MSB_ERR_UNSUPPORTED;
		(void)snprintf(error->message, sizeof(error->message),
		               "the library that was found has no %s()", name);
		(void)snprintf(error->hint, sizeof(error->hint),
		               "install the version that this package is of");
	}
	return -MSB_ERR_UNSUPPORTED;
}
"""


def main():
    api = json.loads(read("sdk/api.json"))
    bad = 0
    for name, text in (("msb_api.h", header(api)), ("msb_shim.c", shim(api))):
        path = os.path.join(HERE, name)
        if "--check" not in sys.argv:
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
        elif not os.path.exists(path) or open(path, encoding="utf-8").read() != text:
            print(f"sdk/go/{name} is not what the header says: run sdk/go/generate.py")
            bad = 1
    return bad


if __name__ == "__main__":
    sys.exit(main())
