/* stage.h - what store.c needs of the staging folders (stage.c). */
#ifndef STORE_STAGE_H
#define STORE_STAGE_H

#include "store/store.h"

/* Remove the staging folders of dead processes. Never fails: it is tidying. */
void stage_sweep(struct store *s);

#endif
