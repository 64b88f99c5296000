/*
 * link.h - one end of a file session: whole messages over a stream socket,
 * one at a time, blocking.
 *
 * The socket may be non-blocking or not. While it waits, tick() is called
 * every FILES_TICK_MS, and a peer that is silent for `silence_ms` is given up
 * (-ETIMEDOUT). What is sent gathers until FILES_LINK_CHUNK bytes are there;
 * files_link_next() sends the rest first.
 */
#ifndef FILES_LINK_H
#define FILES_LINK_H

#include "base/buf.h"
#include "files/sink.h"

#define FILES_TICK_MS    50
#define FILES_LINK_CHUNK (256u << 10)

struct files_link {
	int sock; /* the caller's */
	int silence_ms;
	struct buf in, out;
	size_t in_off;
	struct proto_msg msg;
	bool has_msg;
	uint64_t sent_ns;
	int (*tick)(void *arg); /* may be NULL; not 0 ends it: that code */
	void *arg;
};

void files_link_init(struct files_link *l, int sock, int silence_ms);
void files_link_release(struct files_link *l);

/* -EPIPE or -ECONNRESET: the peer is gone. */
int files_link_send(struct files_link *l, const struct proto_msg *msg);
int files_link_flush(struct files_link *l);

/* The next message, valid until the next call. -ECONNRESET at the end. */
int files_link_next(struct files_link *l, const struct proto_msg **ret);

/* 1 when a message, or the end, is there to be read at once; 0. */
int files_link_poll(struct files_link *l);

/* Say that work goes on, when nothing was sent for a while. */
int files_link_alive(struct files_link *l);

/* A sink that sends. */
struct files_sink files_link_sink(struct files_link *l);

/*
 * Give @sink what comes, up to FILE_DONE; -EPROTO when the order is wrong, an
 * entry's name is not clean or a length is too large.
 * @ret_done points into the link.
 */
int files_link_receive(struct files_link *l, const struct files_sink *sink,
                       const struct proto_file_done **ret_done,
                       struct err *err);

#endif
