/*
 * screen.h - the whole terminal for a live view: the alternate screen without
 * a cursor, drawn in place, and given back whatever happens.
 *
 * Terminal and cursor come back by screen_close(), at exit(), while the process
 * is stopped (ctrl-z), and before it dies of a signal; SIGKILL alone cannot be
 * helped. Signals that end a program come as SCREEN_SIGNAL: the caller closes
 * and leaves. One screen a process.
 */
#ifndef CLI_SCREEN_H
#define CLI_SCREEN_H

#include <stdint.h>

#include "base/buf.h"

enum screen_event {
	SCREEN_TIME,    /* it is @until_ns */
	SCREEN_RESIZED, /* or shown again: draw anew */
	SCREEN_KEY,     /* *ret: the character */
	SCREEN_SIGNAL,  /* *ret: its number; also for ctrl-c and a hang-up */
};

/* Standard input and output must be a terminal: else -ENOTTY. */
int screen_open(void);
void screen_close(void); /* twice is fine */

void screen_size(uint16_t *ret_rows, uint16_t *ret_cols);

/* Show @text; only lines that changed are written, in one go. */
int screen_draw(const struct buf *text);

/* Wait for what comes first. @until_ns is CLOCK_MONOTONIC. */
enum screen_event screen_wait(uint64_t until_ns, int *ret);

#endif
