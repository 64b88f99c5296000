/*
 * reclog.h - logs of records: bounded files of pieces of output, each with its
 * time, source and session, that a crash of the writer or the host damages at
 * most at the end.
 *
 *	+-----------+--------------+-------------+-----------+----------+------+
 *	| u32 magic | u32 data len | u64 unix ms | u64 session | u8 source, 7
 *	| zero | data ... padded to 8
 *
 * (little endian, every record begins at a multiple of 8). A reader that finds
 * no record where one should be looks for the next magic.
 *
 * Two ways to stay bounded:
 *
 *	pair    one writer, which may be in a jail without paths: two open
 *	        files; when one is full, the other is emptied and goes on.
 *	append  many writers at once in processes of their own: each record is
 *	        one write with O_APPEND; who finds the file full renames it to
 *	        NAME.1, under a lock.
 *
 * Sources are those of enum msb_log_source.
 */
#ifndef BASE_RECLOG_H
#define BASE_RECLOG_H

#include <stddef.h>
#include <stdint.h>

#define RECLOG_FILE_MAX (8u << 20)  /* bytes of each of the two files */
#define RECLOG_DATA_MAX (64u << 10) /* of one record; more is cut up */

enum reclog_source {
	RECLOG_STDOUT = 1,
	RECLOG_STDERR = 2,
	RECLOG_OUTPUT = 4,
	RECLOG_CONSOLE = 8,
	RECLOG_SYSTEM = 16,
};

/* ---- one writer, two files -------------------------------------------- */

struct reclog_pair {
	int fds[2]; /* not owned; -1: nothing is kept */
	unsigned now;
	uint64_t used;
};

/* Goes on with the file that was written last; RDWR, not O_APPEND. */
int reclog_pair_init(struct reclog_pair *w, const int fds[2]);

/* At the time of the call. A failure (a full disk) drops the record. */
int reclog_pair_write(struct reclog_pair *w, enum reclog_source source,
                      uint64_t session, const void *data, size_t len);

/* ---- many writers, one name --------------------------------------------- */

struct reclog_file {
	int dir_fd; /* not owned */
	int fd;     /* -1: not open yet */
	const char *name;
};

int reclog_append(struct reclog_file *f, enum reclog_source source,
                  uint64_t session, const void *data, size_t len);
void reclog_file_close(struct reclog_file *f);

#endif
