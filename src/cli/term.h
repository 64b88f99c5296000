/*
 * term.h - the user's terminal in raw mode, given back whatever happens.
 *
 * The settings come back by term_restore(), at exit(), and before the process
 * dies of a fatal signal. SIGKILL alone cannot be helped. term_raw() may be
 * called again after term_restore(): when a stopped process goes on. One
 * terminal a process: the saved settings are the process's.
 */
#ifndef CLI_TERM_H
#define CLI_TERM_H

#include <stdbool.h>
#include <stdint.h>

int term_raw(int fd);    /* 0 or a negative errno */
void term_restore(void); /* safe in a signal handler; twice is fine */

/* Of the terminal @fd; false when it is none or does not know. */
bool term_size(int fd, uint16_t *ret_rows, uint16_t *ret_cols);

#endif
