/*
 * sink.h - where a tree of files goes: into a folder (writer.h), over a
 * connection (link.h), into an archive. What gives one (walk.h, link.h, an
 * archive's reader) calls entry() for each file and data() for the content of
 * regular ones, as proto.h says; a call that fails ends it.
 */
#ifndef FILES_SINK_H
#define FILES_SINK_H

#include "base/err.h"
#include "proto/proto.h"

struct files_sink {
	int (*entry)(void *arg, const struct proto_file_entry *e,
	             struct err *err);
	/* @len 0: the file ends at @off. */
	int (*data)(void *arg, uint64_t off, const void *data, uint32_t len,
	            struct err *err);
	void *arg;
};

#endif
