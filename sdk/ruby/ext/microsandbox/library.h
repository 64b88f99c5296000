/*
 * library.h - libmicrosandbox, opened at run time.
 *
 * The extension is not linked with it: a gem can be installed and required
 * where it is missing, and then says what to do. All its functions are reached
 * as lib.msb_...(), once library_loaded() is true.
 */
#ifndef MSB_RUBY_LIBRARY_H
#define MSB_RUBY_LIBRARY_H

#include <microsandbox.h>
#include <stdbool.h>

#include "generated.inc"

#define DECLARE(name) __typeof__(name) *name;
struct library {
	FUNCTIONS(DECLARE)
};
#undef DECLARE

extern struct library lib;

bool library_loaded(void);
/* 0, or -1 and why in @ret_why. Only once: what is loaded stays. */
int library_load(const char *path, char *ret_why, size_t size);

#endif
