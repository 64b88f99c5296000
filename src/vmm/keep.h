/*
 * keep.h - exec sessions whose commands go on while nobody looks: the library
 * gives us its end of the session, we drain it, and somebody may take it back.
 *
 * Theory
 *
 * A session is a stream of frames between the guest's agent and whoever holds
 * the host end. A command blocks as soon as nobody reads its output, and dies
 * when the host end is closed. So the end is kept open here, output goes into
 * the log, and EXITED says how the command ended. One session may be the main
 * one: the machine ends with it.
 *
 *	(library) --keep--> KEPT --EXITED, end, breach--> (closed)
 *	    ^                |  ^
 *	    `------take------'  `------keep------ LENT --its end--> (closed)
 *
 * Who takes a session gets the descriptor itself and what was read of a frame
 * that is not whole yet, and speaks to the agent without us. Of the main one
 * a note stays here (LENT): the machine must end with it also when its new
 * holder dies. That is seen where the vsock device closes the other end; the
 * last bytes of the guest tell the exit code, for EXITED is a session's last
 * frame.
 *
 * The guest is not believed: a frame has a bound, must be one of those that an
 * agent sends behind STARTED, and may not confirm more input than there was. A
 * breach ends that session only.
 */
#ifndef VMM_KEEP_H
#define VMM_KEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/loop.h"
#include "base/reclog.h"
#include "proto/proto.h"
#include "virtio/device.h"

#define KEEP_MAX 64

/* Of a frame that comes: STDOUT with its length and PROTO_DATA_MAX bytes. */
#define KEEP_FRAME_MAX (PROTO_HEADER_LEN + 4 + PROTO_DATA_MAX)

/* How a session ended, when no EXITED said it. */
#define KEEP_NO_CODE (-1)

struct keep_events {
	void (*output)(void *arg, enum reclog_source source, uint64_t session,
	               const void *data, size_t len);
	/* @code: 0..255, 128 + signal, or KEEP_NO_CODE. */
	void (*ended)(void *arg, uint64_t session, bool is_main, int code);
	void *arg;
};

struct keep;

struct kept {
	struct keep *set;
	uint64_t session; /* 0: a free place */
	int fd;           /* -1: lent */
	bool is_main, tty, want_stdin, no_log;
	bool gone; /* its other end is closed */
	uint32_t unacked;
	struct buf in;
	struct loop_fd src;
	struct loop_timer soon; /* the end of a lent one */
	int code;
};

struct keep {
	struct loop *loop;
	struct virtio_dev *vsock;
	struct keep_events events;
	struct kept list[KEEP_MAX];
};

/* Must stay in its place. @vsock: where the sessions' other ends are. */
void keep_init(struct keep *k, struct loop *l, struct virtio_dev *vsock,
               const struct keep_events *events);

/*
 * Keep @fd, which is owned from now on, also on failure: -EINVAL (session 0, a
 * bad descriptor, more `rest` or unacked input than there can be), -EEXIST
 * (that number is kept), -EBUSY (another one is the main one), -EMFILE. What
 * @m->rest holds is handled at once: the session may have ended by then.
 */
int keep_add(struct keep *k, const struct proto_vmm_keep *m, int fd);

/*
 * The session that TAKE means: number @session, or for 0 the main one, or the
 * only one; NULL. @ret is what TAKEN says about it; it points into the session
 * and is valid until the loop goes on.
 */
struct kept *keep_find(struct keep *k, uint64_t session,
                       struct proto_vmm_taken *ret);

/* It was sent away: close our copy; of the main one a note stays. */
void keep_lend(struct kept *s);

void keep_release(struct keep *k); /* a zeroed one is fine */

#endif
