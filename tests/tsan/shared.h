/* shared.h - one handle of one sandbox in the hands of many threads. */
#ifndef TSAN_SHARED_H
#define TSAN_SHARED_H

#include "microsandbox.h"

/* How much went wrong; it says what on standard error. */
int shared(struct msb_home *home, struct msb_image *image);

#endif
