/* gc.h - drop what no reference reaches. See install.h for the locks. */
#ifndef IMAGE_GC_H
#define IMAGE_GC_H

#include "store/store.h"

/* While a pull runs, what is younger than this stays: it may be wanted. */
#define GC_GRACE_S 3600

/* As image_gc(), for the references that there are. */
int gc_run(struct store *s, uint64_t *ret_freed_bytes, struct err *err);

#endif
