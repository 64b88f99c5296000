/*
 * journal.h - what a machine leaves for people to read: its console, what kept
 * sessions print, and marks of what happened to it (base/reclog.h).
 *
 * The console comes in crumbs: it is written by whole lines, or what there is
 * of one when nothing came for JOURNAL_PAUSE_NS. Without files all calls do
 * nothing. A full disk costs records, never the machine.
 */
#ifndef VMM_JOURNAL_H
#define VMM_JOURNAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "base/reclog.h"

#define JOURNAL_LINES_MAX (8u << 10) /* of the console, held back */
#define JOURNAL_PAUSE_NS  200000000ull

struct journal {
	struct loop *loop;
	struct reclog_pair pair;
	uint8_t lines[JOURNAL_LINES_MAX];
	size_t len;
	struct loop_timer pause;
};

/* @fds stay the caller's; -1: none. Must stay in its place. */
int journal_init(struct journal *j, struct loop *l, const int fds[2],
                 struct err *err);

void journal_output(struct journal *j, enum reclog_source source,
                    uint64_t session, const void *data, size_t len);
void journal_console(struct journal *j, const void *data, size_t len);

/* One line by us; @session is 0 when it is about the machine. */
void journal_mark(struct journal *j, uint64_t session, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Write what is held back; a zeroed one is fine. */
void journal_flush(struct journal *j);
void journal_release(struct journal *j);

#endif
