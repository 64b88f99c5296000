/*
 * grow.h - a kept sandbox's upper.ext4 becomes larger, under the lock of its
 * folder. A file `growing` is there meanwhile: when it is found later, the
 * growth was cut short and is done again before a guest sees the disk. Its
 * size alone would not tell, and to repair at each start what a guest wrote
 * would let it choose what our tools read.
 */
#ifndef LIB_GROW_H
#define LIB_GROW_H

#include <stdint.h>

#include "base/err.h"
#include "lib/place.h"

#define GROW_UPPER_FILE "upper.ext4"

/*
 * Open it, at least @size bytes large; *ret_size is what it has. Only what is
 * missing is done: quick when it is large enough.
 */
int grow_open_upper(const struct place *p, uint64_t size, int *ret_fd,
                    uint64_t *ret_size, struct err *err);

#endif
