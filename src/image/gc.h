/* gc.h - drop what no reference reaches. See install.h for the locks. */
#ifndef IMAGE_GC_H
#define IMAGE_GC_H

#include "base/digest.h"
#include "store/store.h"

/* While a pull runs, what is younger than this stays: it may be wanted. */
#define GC_GRACE_S 3600

/* As image_gc(), for the references that there are. */
int gc_run(struct store *s, uint64_t *ret_freed_bytes, struct err *err);

/*
 * Chains and layers of patches are found again by those who patch the same
 * image in the same way, but nothing names them when their sandboxes are gone.
 * So each has a note, GC_PATCHED/CHAIN, as old as its last use, and the oldest
 * go when there are many.
 */
#define GC_PATCHED      "patched"
#define GC_PATCHED_KEEP 16 /* that no sandbox and no snapshot needs */

void gc_note_patched(struct store *s, const struct digest *chain,
                     const struct digest *layer);

/* The caller does not hold install_guard(). Failures are of no consequence. */
void gc_trim_patched(struct store *s);

#endif
