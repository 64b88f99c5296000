#include "library.h"

#include <dlfcn.h>
#include <stdio.h>

struct library lib;
static bool loaded;

bool library_loaded(void)
{
	return loaded;
}

static const struct {
	const char *name;
	size_t offset;
} functions[] = {
#define NAME(name) {#name, offsetof(struct library, name)},
	FUNCTIONS(NAME)
#undef NAME
};

#define COUNT (sizeof(functions) / sizeof(functions[0]))

int library_load(const char *path, char *ret_why, size_t size)
{
	struct library found;
	void *handle;

	if (loaded)
		return 0;
	handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!handle) {
		(void)snprintf(ret_why, size, "%s", dlerror());
		return -1;
	}
	for (size_t i = 0; i < COUNT; i++) {
		void *symbol = dlsym(handle, functions[i].name);

		if (!symbol) {
			(void)snprintf(ret_why, size,
			               "%s is another version: it has no %s",
			               path, functions[i].name);
			(void)dlclose(handle);
			return -1;
		}
		*(void **)((char *)&found + functions[i].offset) = symbol;
	}
	lib = found;
	loaded = true;
	return 0;
}
