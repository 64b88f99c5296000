/*
 * lib.c - libmicrosandbox, loaded when it is first needed.
 *
 * Not linked, so that a missing library is an error of ours with a way out,
 * and so that one addon serves the package's own library, the system's, and
 * the one that MICROSANDBOX_LIBRARY names.
 */
#include "addon.h"
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct lib lib;
static bool loaded;

/*
 * Node exports the symbols of the OpenSSL and the zlib that it has inside;
 * RTLD_DEEPBIND keeps them from taking the place of those that the library was
 * linked with. But where another allocator was put before libc's (LD_PRELOAD),
 * it would give the library libc's free() for what strdup() took from the
 * other one: then rather node's OpenSSL, as a whole.
 */
static int binding(void)
{
	Dl_info of_malloc, of_libc;

	if (!dladdr(dlsym(RTLD_DEFAULT, "malloc"), &of_malloc) ||
	    !dladdr(dlsym(RTLD_DEFAULT, "strdup"), &of_libc))
		return 0;
	return of_malloc.dli_fbase == of_libc.dli_fbase ? RTLD_DEEPBIND : 0;
}

/* Symbols of younger libraries may be missing: calling them is the error. */
static bool take(const char *path, char *why, size_t size)
{
	void *dl = dlopen(path, RTLD_NOW | RTLD_LOCAL | binding());
	Dl_info info;

	if (!dl) {
		const char *text = dlerror();

		snprintf(why, size, "%s", text ? text : "it cannot be loaded");
		return false;
	}
	for (size_t i = 0; i < func_count; i++)
		lib.fns[i] = dlsym(dl, funcs[i].name);
	if (!lib.fns[0] || !lib.fns[1]) {
		snprintf(why, size, "%s is not libmicrosandbox", path);
		dlclose(dl);
		return false;
	}
	if (dladdr(lib.fns[0], &info) && info.dli_fname)
		path = info.dli_fname;
	snprintf(lib.path, sizeof(lib.path), "%s", path);
	return true;
}

int lib_load(const char *const *paths, size_t count, char *why, size_t size)
{
	_Static_assert(sizeof(lib.fns) / sizeof(lib.fns[0]) >= 140, "room");
	int r = -1;

	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < count && !loaded; i++)
		loaded = take(paths[i], why, size);
	if (loaded)
		r = 0;
	pthread_mutex_unlock(&lock);
	return r;
}

const struct lib *lib_get(void)
{
	const struct lib *r;

	pthread_mutex_lock(&lock);
	r = loaded ? &lib : NULL;
	pthread_mutex_unlock(&lock);
	return r;
}
