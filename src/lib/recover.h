/* recover.h - the record of sandboxes, looked at and brought back. */
#ifndef LIB_RECOVER_H
#define LIB_RECOVER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/strv.h"
#include "lib/doctor.h"
#include "store/store.h"

struct recovered {
	struct strv done; /* a sentence for each thing, also what is left */
	size_t doable;    /* so many of them were done, or can be */
	size_t on_record; /* rows that were there before */
};

/* See msb_repair(). Release @ret->done, also after a failure. */
int recover(struct store *s, bool dry_run, struct recovered *ret,
            struct err *err);

/* What there is to repair, as a finding of the doctor's. */
void doctor_record(struct msb_report *r);

#endif
