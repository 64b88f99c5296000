/*
 * log_stream.h - the two files of one log of a sandbox (base/reclog.h) as one
 * stream of records, oldest first, that goes on where it was when more has
 * been written, however often the files were turned over meanwhile.
 *
 *	append  NAME.1 and NAME, known by their inodes. A file stays open and
 *	        is looked at again until two newer ones are known, as a writer
 *	        may still have it open.
 *	pair    NAME.0 and NAME.1, known by their turns. A file may be emptied
 *	        while it is read: what was read counts only when the turn is
 *	        the same afterwards. What was lost by that is passed over.
 *
 * msb-vmm writes one of them and may be a guest's by then: nothing in a file
 * is believed, no more than LOG_READ_MAX of one is read, and a search among
 * things that only look like records ends at LOG_WASTE_MAX.
 */
#ifndef LIB_LOG_STREAM_H
#define LIB_LOG_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/reclog.h"

#define LOG_READ_MAX  (4ull * RECLOG_FILE_MAX)
#define LOG_WASTE_MAX (256ull << 20) /* bytes summed up in vain, per file */
#define LOG_FILES     4              /* known at once */

struct log_file {
	int fd;
	dev_t dev;
	ino_t ino;
	uint64_t pos;  /* all before has been given out */
	uint64_t turn; /* pair: that was read; 0: none yet */
	uint64_t waste;
};

struct log_stream {
	int dir_fd; /* not owned */
	const char *name;
	bool pair;
	struct log_file files[LOG_FILES]; /* append: oldest first */
	unsigned nfiles, now;             /* which is being read */
	unsigned found;                   /* files, since the beginning */
	uint8_t *chunk;                   /* of files[now], from its pos on */
	size_t at, len;
	bool has_head;
	struct reclog_record head;
};

/* Files that are not there yet are looked for later. */
int log_stream_init(struct log_stream *s, int dir_fd, const char *name,
                    bool pair);
void log_stream_release(struct log_stream *s); /* a zeroed one is fine */

/*
 * The next record, left in place: 1; 0 when there is none now. @over: nobody
 * writes any more, so that a record that was cut short is passed over at once.
 */
int log_stream_peek(struct log_stream *s, bool over,
                    const struct reclog_record **ret);

/* Go on to the one behind it. What was peeked lives until the next peek. */
void log_stream_take(struct log_stream *s);

/* Begin again with the oldest that is there and was there. */
void log_stream_rewind(struct log_stream *s);

#endif
