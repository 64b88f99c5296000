/*
 * placer.h - a writer whose place is chosen when the tree's root comes, by the
 * rules of docker cp (files_place()).
 */
#ifndef FILES_PLACER_H
#define FILES_PLACER_H

#include "files/writer.h"

struct files_placer {
	const char *to, *name; /* the target, and the source's own name */
	bool content;
	uint32_t flags; /* enum files_write_flags */
	bool open;      /* the writer is there */
	struct files_writer writer;
	struct files_sink inner;
};

struct files_sink files_placer_sink(struct files_placer *p);

/* @r is how it went until here; finishes what was begun if that is well. */
int files_placer_end(struct files_placer *p, int r, struct err *err);

#endif
