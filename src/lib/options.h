/*
 * options.h - options structs that callers built with another version of the
 * public header hand over: only the bytes that both sides know are copied.
 */
#ifndef LIB_OPTIONS_H
#define LIB_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/*
 * Copy a caller's struct (first member: size_t size) over @ours, which holds
 * the defaults. False when its size cannot be right: no _INIT macro was used.
 * @theirs NULL leaves the defaults.
 */
static inline bool options_take(void *ours, size_t ours_len, const void *theirs)
{
	size_t len;

	if (!theirs)
		return true;
	memcpy(&len, theirs, sizeof(len));
	if (len < sizeof(len) || len > 4096)
		return false;
	memcpy(ours, theirs, len < ours_len ? len : ours_len);
	return true;
}

/* The other way: fill a caller's result struct, as much as it has room for. */
static inline void options_give(void *theirs, const void *ours, size_t ours_len)
{
	size_t len;

	memcpy(&len, theirs, sizeof(len));
	if (len < sizeof(len) || len > ours_len)
		len = len < sizeof(len) ? 0 : ours_len;
	if (len > sizeof(len))
		memcpy((char *)theirs + sizeof(len),
		       (const char *)ours + sizeof(len), len - sizeof(len));
}

#endif
