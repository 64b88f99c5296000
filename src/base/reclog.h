/*
 * reclog.h - logs of records: bounded files of pieces of output, each with its
 * time, source and session. A crash of a writer or of the host damages at most
 * the records that were being written.
 *
 *	 0 u32 magic      4 u32 length of data    8 u64 unix ms
 *	16 u64 session   24 u32 source           28 u32 sum of all the rest
 *	32 data
 *
 * All is little endian; the next record follows at once. A reader that finds
 * no whole record where one should be looks for the next one, at any byte: a
 * record that was cut short by a kill or a full disk stays where it is. (Who
 * can damage a file may also plant records in it; what a guest prints may look
 * like records, but is read only as data of the record around it, unless that
 * is damaged.)
 *
 * Two ways to stay bounded:
 *
 *	pair    one writer, which may be in a jail without paths: two open
 *	        files; when one is full, the other is emptied and goes on. Each
 *	        begins with a record of source 0 whose session is a number that
 *	        grows with each of these turns, so that nobody has to trust
 *	        clocks to know which is the newer one.
 *	append  many writers at once in processes of their own: each record is
 *	        one write with O_APPEND; who finds the file full renames it to
 *	        NAME.1, under a lock of the file. Nobody waits for that: the
 *	        others write on meanwhile, until the file is twice as long.
 *
 * Sources are those of enum msb_log_source.
 */
#ifndef BASE_RECLOG_H
#define BASE_RECLOG_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define RECLOG_FILE_MAX   (8u << 20)  /* bytes of each of the two files */
#define RECLOG_DATA_MAX   (64u << 10) /* of one record; more is cut up */
#define RECLOG_HEADER_LEN 32u
#define RECLOG_RECORD_MAX (RECLOG_HEADER_LEN + RECLOG_DATA_MAX)

enum reclog_source {
	RECLOG_HEAD = 0, /* of a file of a pair */
	RECLOG_STDOUT = 1,
	RECLOG_STDERR = 2,
	RECLOG_OUTPUT = 4,
	RECLOG_CONSOLE = 8,
	RECLOG_SYSTEM = 16,
};

/* ---- one writer, two files -------------------------------------------- */

struct reclog_pair {
	int fds[2]; /* not owned; one is -1: nothing is kept */
	unsigned now;
	uint64_t used; /* bytes of fds[now]; 0: to be begun */
	uint64_t turn;
};

/*
 * Goes on with the file that was begun last. The files are open for reading
 * and writing, without O_APPEND.
 */
int reclog_pair_init(struct reclog_pair *w, const int fds[2]);

/*
 * At the time of the call. A failure (a full disk) drops the record: negative
 * errno. The system calls are pwritev() and ftruncate(), nothing else.
 */
int reclog_pair_write(struct reclog_pair *w, enum reclog_source source,
                      uint64_t session, const void *data, size_t len);

/* ---- many writers, one name --------------------------------------------- */

struct reclog_file {
	int dir_fd; /* not owned; -1: nothing is kept */
	int fd;     /* -1: not open yet */
	const char *name;
	/* of what is open */
	dev_t dev;
	ino_t ino;
	uint64_t limit; /* of this process (RLIMIT_FSIZE) */
};

#define RECLOG_FILE_INIT(dir_fd_, name_)                                       \
	{                                                                      \
		.dir_fd = (dir_fd_), .fd = -1, .name = (name_)                 \
	}

int reclog_append(struct reclog_file *f, enum reclog_source source,
                  uint64_t session, const void *data, size_t len);
void reclog_file_close(struct reclog_file *f);

/* ---- reading --------------------------------------------------------------
 */

struct reclog_record {
	enum reclog_source source;
	uint32_t len;
	int64_t unix_ms; /* 0 up to the end of the year 9999 */
	uint64_t session;
	const uint8_t *data; /* in what was decoded */
};

/*
 * The record that begins at @data: its whole length; 0 when more than @len
 * bytes are needed to say; -EBADMSG when none begins here.
 */
ssize_t reclog_decode(const void *data, size_t len, struct reclog_record *ret);

/* How many bytes of @data to skip: no record can begin in them. */
size_t reclog_seek(const void *data, size_t len);

/* The turn of a file of a pair, 0 when it is none or has not been begun. */
uint64_t reclog_pair_turn(int fd);

#endif
