/*
 * end.h - one end of a flow: a socket, clear or with TLS over it, that never
 * blocks.
 *
 * OpenSSL reads and writes through a BIO of our own: a read that did not fill
 * its room says that the socket is empty, so the next one is not tried in this
 * turn; records that are written are gathered and sent at once by end_flush();
 * nothing raises SIGPIPE; and the end of the stream looks to OpenSSL as if
 * nothing came, so that it stays able to write (a half-close), while the caller
 * can tell an end with close_notify from one without.
 */
#ifndef TLS_END_H
#define TLS_END_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/loop.h"

/* Records that wait for one send(); not more than a record over it, so that
   the buffer is one of 64 KiB. */
#define END_GATHER (40u << 10)
/* Read at once: two records of full length. */
#define END_READ (33u << 10)

struct end {
	struct loop_fd source; /* .fd is the socket, -1: closed */
	SSL *ssl;              /* owned; NULL: clear */
	struct buf wire;       /* gathered, not sent */
	/* Of this turn, and what epoll is to say next. */
	bool dry, full, want_in, want_out;
	bool waits; /* end_read() said -EAGAIN: an event comes */
	bool gone;  /* epoll says that nobody is there: see end_watch() */
	/* Of the stream. */
	bool eof;      /* the socket has no more */
	bool ended;    /* the caller was told so, cleanly or not */
	bool deaf;     /* what is written is lost: nobody takes it */
	bool finished; /* we have ended our direction */
	int error;     /* errno of the socket, 0 */
};

/* Takes @fd: a stream socket, made non-blocking. */
int end_init(struct end *e, int fd);
/* @ssl is taken, also on failure (-ENOMEM). Clear until then. */
int end_secure(struct end *e, SSL *ssl);
void end_close(struct end *e, struct loop *l);
/* The other side sees a reset (TCP). */
void end_reset(struct end *e, struct loop *l);

/* A turn begins: what epoll said, 0 if it said nothing. */
void end_turn(struct end *e, uint32_t events);
/* A turn ends: ask epoll for what the calls below waited for. */
int end_watch(struct end *e, struct loop *l,
              void (*cb)(void *arg, uint32_t events), void *arg);

/*
 * All: -EAGAIN: not now, end_watch() knows for what it waits. -EPROTO: TLS is
 * broken, OpenSSL's queue says why. -ENODATA: the stream has ended without
 * close_notify. Else the socket's errno.
 */
/* 0: done; -EINPROGRESS: paused at the ClientHello. */
int end_handshake(struct end *e);
/* How many bytes; 0: the stream has ended properly. */
ssize_t end_read(struct end *e, void *data, size_t len);
/* How many bytes were taken; they may wait for end_flush(). */
ssize_t end_write(struct end *e, const void *data, size_t len);
/* 0: all is sent. */
int end_flush(struct end *e);
/* End our direction: close_notify when @clean, then FIN. 0: done. */
int end_finish(struct end *e, bool clean);
/* Has OpenSSL bytes that no event will tell of? */
bool end_pending(const struct end *e);
/* Nothing happens here for now: give memory back. */
void end_idle(struct end *e);

#endif
