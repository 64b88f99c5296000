/* cage.h - the part of cage.c that is a list of its own: system calls. */
#ifndef TLS_CAGE_H
#define TLS_CAGE_H

/*
 * From now on only the calls of the list; no_new_privs must be set. 0, a
 * negative errno; -EOPNOTSUPP: this build has a sanitizer, whose runtime makes
 * calls of its own at any moment.
 */
int cage_filter(void);

#endif
