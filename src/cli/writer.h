/*
 * writer.h - output that never blocks the loop and never changes the flags of
 * a descriptor that other programs share with us.
 *
 * O_NONBLOCK belongs to the open file, which the shell and the next program
 * in the pipeline have too. So a pipe or terminal is opened a second time with
 * the flag; a socket gets MSG_DONTWAIT; a regular file does not block. Where
 * the second opening fails (a terminal of another user), small pieces are
 * written after poll() said that there is room.
 */
#ifndef CLI_WRITER_H
#define CLI_WRITER_H

#include <stddef.h>

#include "base/buf.h"
#include "base/loop.h"

enum writer_kind { WRITER_FILE, WRITER_OWN, WRITER_SOCKET, WRITER_CAREFUL };

struct writer {
	enum writer_kind kind;
	int fd;     /* ours with WRITER_OWN */
	int broken; /* negative errno of the first failure, 0 */
	struct buf pending;
};

void writer_init(struct writer *w, int fd);
void writer_release(struct writer *w);

/*
 * Write now what goes, keep the rest. 0, or a negative errno: then and from
 * then on everything is dropped.
 */
int writer_put(struct writer *w, const void *data, size_t len);
int writer_flush(struct writer *w); /* the same for what is pending */

#endif
