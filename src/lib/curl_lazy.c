/*
 * curl_lazy.c - libcurl, loaded when a registry is asked for the first time.
 *
 * libcurl brings some thirty libraries along. To load and relocate them takes
 * about 5 ms, at each start of each program that links us, and `msb run` of an
 * image that is here never needs them. So the shared library defines the few
 * functions of libcurl that image/ calls, and forwards them. The linker then
 * finds libcurl itself unneeded (--as-needed) and leaves it out; a function
 * that is missing here would only bring it back. The symbol map keeps these
 * definitions to ourselves.
 *
 * Without libcurl on the host all creating functions fail, as they do when
 * they run out of memory.
 */
#include <curl/curl.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>

#include "base/banned.h"

#undef curl_easy_getinfo
#undef curl_easy_setopt
#undef curl_multi_setopt

static pthread_once_t once = PTHREAD_ONCE_INIT;
static void *library;

/* tools/bundle.py puts one beside us, under a name that is ours alone. */
static void load(void)
{
	library = dlopen("libmsb-curl.so.4", RTLD_NOW | RTLD_LOCAL);
	if (!library)
		library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
}

static void *find(const char *name)
{
	(void)pthread_once(&once, load);
	return library ? dlsym(library, name) : NULL;
}

/* Defines NAME: forwards ARGS, or gives FAILED without a library. */
#define FORWARD(type, name, failed, params, args)                              \
	FORWARD_AS(type, name, name, failed, params, args)
#define FORWARD_AS(type, name, real, failed, params, args)                     \
	type name params                                                       \
	{                                                                      \
		static type(*_Atomic fn) params;                               \
		type(*f) params = fn;                                          \
                                                                               \
		if (!f)                                                        \
			fn = f = (type(*) params)find(#real);                  \
		return f ? f args : (failed);                                  \
	}
#define FORWARD_VOID(name, params, args)                                       \
	void name params                                                       \
	{                                                                      \
		static void(*_Atomic fn) params;                               \
		void(*f) params = fn;                                          \
                                                                               \
		if (!f)                                                        \
			fn = f = (void(*) params)find(#name);                  \
		if (f)                                                         \
			f args;                                                \
	}

/*
 * All values of these are a long, a curl_off_t or a pointer: one word, which
 * the caller's conventions let us pass on as a pointer (x86-64, AArch64).
 */
#define FORWARD_WORD(type, name, handle_type, key_type, failed)                \
	type name(handle_type *handle, key_type key, ...)                      \
	{                                                                      \
		static type (*_Atomic fn)(handle_type *, key_type, ...);       \
		type (*f)(handle_type *, key_type, ...) = fn;                  \
		va_list ap;                                                    \
		void *word;                                                    \
                                                                               \
		va_start(ap, key);                                             \
		word = va_arg(ap, void *);                                     \
		va_end(ap);                                                    \
		if (!f)                                                        \
			fn = f = (type(*)(handle_type *, key_type, ...))find(  \
				#name);                                        \
		return f ? f(handle, key, word) : (failed);                    \
	}

/* clang-format off */
FORWARD(CURLcode, curl_global_init, CURLE_FAILED_INIT, (long flags), (flags))
FORWARD(CURL *, curl_easy_init, NULL, (void), ())
FORWARD_VOID(curl_easy_cleanup, (CURL *c), (c))
FORWARD_VOID(curl_easy_reset, (CURL *c), (c))
FORWARD(const char *, curl_easy_strerror, "no libcurl", (CURLcode e), (e))
FORWARD_WORD(CURLcode, curl_easy_setopt, CURL, CURLoption, CURLE_FAILED_INIT)
FORWARD_WORD(CURLcode, curl_easy_getinfo, CURL, CURLINFO, CURLE_FAILED_INIT)
FORWARD(CURLM *, curl_multi_init, NULL, (void), ())
FORWARD(CURLMcode, curl_multi_cleanup, CURLM_OK, (CURLM *m), (m))
FORWARD(CURLMcode, curl_multi_add_handle, CURLM_INTERNAL_ERROR,
        (CURLM *m, CURL *c), (m, c))
FORWARD(CURLMcode, curl_multi_remove_handle, CURLM_OK, (CURLM *m, CURL *c),
        (m, c))
FORWARD(CURLMcode, curl_multi_perform, CURLM_INTERNAL_ERROR,
        (CURLM *m, int *n), (m, n))
FORWARD(CURLMcode, curl_multi_poll, CURLM_INTERNAL_ERROR,
        (CURLM *m, struct curl_waitfd *w, unsigned n, int ms, int *ret),
        (m, w, n, ms, ret))
FORWARD(CURLMsg *, curl_multi_info_read, NULL, (CURLM *m, int *n), (m, n))
FORWARD(struct curl_slist *, curl_slist_append, NULL,
        (struct curl_slist *l, const char *s), (l, s))
FORWARD_VOID(curl_slist_free_all, (struct curl_slist *l), (l))
FORWARD_VOID(curl_free, (void *p), (p))
FORWARD(time_t, curl_getdate, -1, (const char *s, const time_t *unused),
        (s, unused))
FORWARD(CURLU *, curl_url, NULL, (void), ())
FORWARD_VOID(curl_url_cleanup, (CURLU *u), (u))
/* Newer headers have a const in its prototype, so it gets a name of its own. */
CURLUcode lazy_url_get(CURLU *u, CURLUPart what, char **ret, unsigned flags)
	__asm__("curl_url_get");
FORWARD_AS(CURLUcode, lazy_url_get, curl_url_get, CURLUE_OUT_OF_MEMORY,
        (CURLU *u, CURLUPart what, char **ret, unsigned flags),
        (u, what, ret, flags))
FORWARD(CURLUcode, curl_url_set, CURLUE_OUT_OF_MEMORY,
        (CURLU *u, CURLUPart what, const char *s, unsigned flags),
        (u, what, s, flags))
/* clang-format on */
