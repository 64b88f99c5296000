/*
 * Preloaded into msb by test_nth_failure.py: the NTH_N-th call of the function
 * NTH_CALL fails, as it may when memory, disk or descriptors are short. At the
 * end the number of calls goes to the file NTH_COUNT, when that is set.
 *
 * Of allocations, only ours and jansson's count: OpenSSL 3.0 and libcurl crash
 * by themselves when memory runs out while they set themselves up.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t m);
extern void *__libc_realloc(void *p, size_t n);

static const char *call;
static long nth = -1;
static atomic_long count;

__attribute__((constructor)) static void start(void)
{
	const char *n = getenv("NTH_N");

	nth = n ? strtol(n, NULL, 10) : -1;
	call = getenv("NTH_CALL");
}

__attribute__((destructor)) static void end(void)
{
	const char *path = getenv("NTH_COUNT");
	char text[32];
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600) : -1;
	int len = snprintf(text, sizeof(text), "%ld", atomic_load(&count));

	call = NULL; /* our own write is nobody's n-th */
	if (fd >= 0 && write(fd, text, (size_t)len) != len)
		_exit(125);
}

static int hit(const char *name)
{
	return call && strcmp(call, name) == 0 &&
	       atomic_fetch_add(&count, 1) + 1 == nth;
}

static int hit_from(const void *caller)
{
	Dl_info in;

	if (!call || strcmp(call, "malloc") != 0 || !dladdr(caller, &in) ||
	    !(strstr(in.dli_fname, "msb") ||
	      strstr(in.dli_fname, "libmicrosandbox") ||
	      strstr(in.dli_fname, "libjansson")))
		return 0;
	return hit("malloc");
}

void *malloc(size_t n)
{
	if (hit_from(__builtin_return_address(0))) {
		errno = ENOMEM;
		return NULL;
	}
	return __libc_malloc(n);
}

void *calloc(size_t n, size_t m)
{
	if (hit_from(__builtin_return_address(0))) {
		errno = ENOMEM;
		return NULL;
	}
	return __libc_calloc(n, m);
}

void *realloc(void *p, size_t n)
{
	if (hit_from(__builtin_return_address(0))) {
		errno = ENOMEM;
		return NULL;
	}
	return __libc_realloc(p, n);
}

/* libc would allocate for these itself. */
char *strdup(const char *s)
{
	size_t n = strlen(s) + 1;
	char *p =
		hit_from(__builtin_return_address(0)) ? NULL : __libc_malloc(n);

	return p ? memcpy(p, s, n) : NULL;
}

char *strndup(const char *s, size_t max)
{
	size_t n = strnlen(s, max);
	char *p = hit_from(__builtin_return_address(0)) ? NULL
	                                                : __libc_malloc(n + 1);

	if (p) {
		memcpy(p, s, n);
		p[n] = '\0';
	}
	return p;
}

void *reallocarray(void *p, size_t n, size_t size)
{
	size_t all;

	if (__builtin_mul_overflow(n, size, &all) ||
	    hit_from(__builtin_return_address(0))) {
		errno = ENOMEM;
		return NULL;
	}
	return __libc_realloc(p, all);
}

#define NEXT(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

/* Which of them a program calls depends on its flags. */
#define OPENAT(name)                                                           \
	int name(int at, const char *path, int flags, ...);                    \
	int name(int at, const char *path, int flags, ...)                     \
	{                                                                      \
		va_list ap;                                                    \
		mode_t mode;                                                   \
                                                                               \
		va_start(ap, flags);                                           \
		mode = va_arg(ap, mode_t);                                     \
		va_end(ap);                                                    \
		if (hit("openat")) {                                           \
			errno = EMFILE;                                        \
			return -1;                                             \
		}                                                              \
		return NEXT(openat)(at, path, flags, mode);                    \
	}
OPENAT(openat64)
OPENAT(__openat64_2)

ssize_t write(int fd, const void *data, size_t len)
{
	if (fd > 2 && hit("write")) {
		errno = ENOSPC;
		return -1;
	}
	return NEXT(write)(fd, data, len);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t off)
{
	if (hit("write")) {
		errno = ENOSPC;
		return -1;
	}
	return NEXT(pwrite64)(fd, data, len, off);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t off)
{
	return pwrite64(fd, data, len, off);
}

int fsync(int fd)
{
	if (hit("fsync")) {
		errno = EIO;
		return -1;
	}
	return NEXT(fsync)(fd);
}

int renameat2(int a, const char *from, int b, const char *to, unsigned flags)
{
	if (hit("rename")) {
		errno = ENOSPC;
		return -1;
	}
	return NEXT(renameat2)(a, from, b, to, flags);
}

int renameat(int a, const char *from, int b, const char *to)
{
	if (hit("rename")) {
		errno = ENOSPC;
		return -1;
	}
	return NEXT(renameat)(a, from, b, to);
}

int mkdirat(int at, const char *path, mode_t mode)
{
	if (hit("mkdirat")) {
		errno = ENOSPC;
		return -1;
	}
	return NEXT(mkdirat)(at, path, mode);
}

int pthread_create(pthread_t *t, const pthread_attr_t *attr,
                   void *(*fn)(void *), void *arg)
{
	if (hit("thread"))
		return EAGAIN;
	return NEXT(pthread_create)(t, attr, fn, arg);
}
