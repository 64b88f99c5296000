/*
 * cleanup.h - release by scope: a variable marked cleanup_X is released when
 * it goes out of scope; take_ptr()/take_fd() hand it over and disarm it.
 */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free_fn(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_close_fn(const int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		(void)close(*fd);
	errno = saved;
}

static inline void cleanup_fclose_fn(FILE **f)
{
	if (*f)
		(void)fclose(*f);
}

#define cleanup(fn)    __attribute__((cleanup(fn)))
#define cleanup_free   cleanup(cleanup_free_fn)
#define cleanup_close  cleanup(cleanup_close_fn)
#define cleanup_fclose cleanup(cleanup_fclose_fn)

#define take_ptr(p)                                                            \
	({                                                                     \
		__typeof__(p) take_tmp_ = (p);                                 \
		(p) = NULL;                                                    \
		take_tmp_;                                                     \
	})

static inline int take_fd_fn(int *fd)
{
	int tmp = *fd;

	*fd = -1;
	return tmp;
}
#define take_fd(fd) take_fd_fn(&(fd))

/* Close @*fd if it is open and mark it closed. */
static inline void close_fd(int *fd)
{
	cleanup_close_fn(fd);
	*fd = -1;
}

#endif
