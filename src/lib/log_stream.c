#include "lib/log_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fdio.h"
#include "base/num.h"

#include "base/banned.h"

#define CHUNK       (256u << 10)
#define SETTLED_S   2 /* no write takes that long */
#define PAIR_TRIES  4 /* turns that may happen while one is read */
#define NAME_LENGTH 64

_Static_assert(CHUNK >= 2 * RECLOG_RECORD_MAX, "a record fits");

/* ---- files ---------------------------------------------------------- */

static int open_log(const struct log_stream *s, const char *suffix,
                    struct log_file *ret)
{
	char name[NAME_LENGTH];
	cleanup_close int fd = -1;
	struct stat st;

	(void)snprintf(name, sizeof(name), "%s%s", s->name, suffix);
	fd = openat(s->dir_fd, name,
	            O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	*ret = (struct log_file){
		.fd = take_fd(fd), .dev = st.st_dev, .ino = st.st_ino};
	return 0;
}

static bool is_known(const struct log_stream *s, const struct log_file *f)
{
	for (unsigned i = 0; i < s->nfiles; i++)
		if (s->files[i].dev == f->dev && s->files[i].ino == f->ino)
			return true;
	return false;
}

static void drop_oldest(struct log_stream *s)
{
	close_fd(&s->files[0].fd);
	s->nfiles--;
	memmove(s->files, s->files + 1, s->nfiles * sizeof(s->files[0]));
	s->now -= s->now > 0;
}

/* Look for files that are new; true when there is one. */
static bool look_for_files(struct log_stream *s)
{
	const char *const suffixes[2][2] = {
		{".1", ""  },
                {".0", ".1"}
        };
	bool found = false;

	if (s->pair && s->nfiles == 2)
		return false;
	for (int i = 0; i < 2; i++) {
		struct log_file f;

		if (open_log(s, suffixes[s->pair][i], &f) < 0)
			continue;
		if (is_known(s, &f) || s->nfiles == LOG_FILES) {
			close_fd(&f.fd);
			continue;
		}
		s->files[s->nfiles++] = f;
		s->found++;
		found = true;
	}
	return found;
}

static void forget_chunk(struct log_stream *s)
{
	s->at = s->len = 0;
	s->has_head = false;
}

int log_stream_init(struct log_stream *s, int dir_fd, const char *name,
                    bool pair)
{
	*s = (struct log_stream){.dir_fd = dir_fd, .name = name, .pair = pair};
	s->chunk = malloc(CHUNK);
	if (!s->chunk)
		return -ENOMEM;
	(void)look_for_files(s);
	return 0;
}

void log_stream_release(struct log_stream *s)
{
	while (s->nfiles > 0)
		drop_oldest(s);
	free(take_ptr(s->chunk));
}

void log_stream_rewind(struct log_stream *s)
{
	for (unsigned i = 0; i < s->nfiles; i++)
		s->files[i].pos = s->files[i].turn = s->files[i].waste = 0;
	s->now = 0;
	forget_chunk(s);
}

/* ---- one file ------------------------------------------------------- */

/* reclog_decode() at @at of the chunk. A file may be made to cost much. */
static ssize_t decode(struct log_stream *s, struct log_file *f, size_t at,
                      struct reclog_record *ret)
{
	size_t len = s->len - at;
	ssize_t n = reclog_decode(s->chunk + at, len, ret);

	if (n == -EBADMSG && len >= RECLOG_HEADER_LEN)
		f->waste += MIN(get_le32(s->chunk + at + 4), RECLOG_DATA_MAX) +
		            RECLOG_HEADER_LEN;
	if (f->waste > LOG_WASTE_MAX)
		f->pos = LOG_READ_MAX;
	return n;
}

/* Read on from the file's pos. 1 when the chunk has something, 0, errno. */
static int fill(struct log_stream *s, struct log_file *f)
{
	ssize_t n = 0;

	s->at = s->len = 0;
	if (f->pos < LOG_READ_MAX)
		n = fd_pread_full(f->fd, s->chunk, CHUNK, f->pos);
	if (n > 0)
		s->len = (size_t)n;
	return n < 0 ? (int)n : n > 0;
}

static void advance(struct log_stream *s, struct log_file *f, size_t n)
{
	s->at += n;
	f->pos += n;
}

/*
 * Whether a record that ends behind the end of its file will never be whole:
 * a write that goes on would have touched the file by now.
 */
static bool is_torn(const struct log_file *f, bool over)
{
	struct stat st;
	time_t now = time(NULL);

	return over || (fstat(f->fd, &st) == 0 &&
	                (st.st_mtime > now || now - st.st_mtime > SETTLED_S));
}

/* Where the next whole record begins in the chunk, behind `at`; or the end. */
static size_t find_whole(struct log_stream *s, struct log_file *f)
{
	struct reclog_record rec;
	size_t at = s->at;

	while (at < s->len && f->waste <= LOG_WASTE_MAX) {
		at++;
		at += reclog_seek(s->chunk + at, s->len - at);
		if (at < s->len && decode(s, f, at, &rec) > 0)
			break;
	}
	return at;
}

/*
 * No record is whole at the pos, and the chunk has been read just now: pass
 * over what can be none. False when there is nothing behind it, yet.
 */
static bool pass_over(struct log_stream *s, struct log_file *f, ssize_t got,
                      bool over)
{
	size_t next;

	if (got == 0) { /* cut off by the end of the file */
		if (s->len == s->at || !is_torn(f, over))
			return false;
		next = find_whole(s, f);
		if (next == s->len)
			return false;
		advance(s, f, next - s->at);
		return true;
	}
	next = s->at + 1;
	next += reclog_seek(s->chunk + next, s->len - next);
	advance(s, f, next - s->at);
	return true;
}

/* The record at the pos of @f, whose bytes the chunk has: 1, 0, errno. */
static int read_record(struct log_stream *s, struct log_file *f, bool over)
{
	bool fresh = false;

	for (;;) {
		ssize_t n = decode(s, f, s->at, &s->head);
		int r;

		if (f->waste > LOG_WASTE_MAX)
			return 0;

		if (n > 0) {
			advance(s, f, (size_t)n);
			if (s->head.source == RECLOG_HEAD)
				continue;
			s->has_head = true;
			return 1;
		}
		if (fresh) {
			fresh = pass_over(s, f, n, over);
			if (!fresh)
				return 0;
			/* What is left of the chunk is as fresh as it was. */
			fresh = n != 0 && s->len - s->at >= RECLOG_RECORD_MAX;
			continue;
		}
		r = fill(s, f);
		if (r <= 0)
			return r;
		fresh = true;
	}
}

/* ---- append --------------------------------------------------------- */

static int next_of_append(struct log_stream *s, bool over)
{
	for (;;) {
		int r;

		if (s->now < s->nfiles) {
			r = read_record(s, &s->files[s->now], over);
			if (r != 0)
				return r;
			s->now++;
			forget_chunk(s);
			continue;
		}
		while (s->nfiles > 2)
			drop_oldest(s);
		if (!look_for_files(s))
			break;
		s->now = 0; /* the older may have grown before the turn */
	}
	s->now = 0;
	return 0;
}

/* ---- pair ----------------------------------------------------------- */

/* The file to be read next after the turn @after; NULL when there is none. */
static struct log_file *pick_turn(struct log_stream *s, uint64_t after)
{
	struct log_file *best = NULL;
	uint64_t turns[2] = {0};

	for (unsigned i = 0; i < s->nfiles; i++) {
		struct log_file *f = &s->files[i];

		turns[i] = reclog_pair_turn(f->fd);
		if (turns[i] > after &&
		    (!best || turns[i] < turns[best - s->files]))
			best = f;
	}
	if (best) {
		best->turn = turns[best - s->files];
		best->pos = best->waste = 0;
		s->now = (unsigned)(best - s->files);
		forget_chunk(s);
	}
	return best;
}

static int next_of_pair(struct log_stream *s, bool over)
{
	(void)look_for_files(s);
	for (int tries = 0; tries < PAIR_TRIES && s->nfiles > 0; tries++) {
		struct log_file *f = &s->files[s->now], *other;
		uint64_t turn = f->turn;
		bool is_last;
		int r = 0;

		/* Before reading: what is written until the turn is read. */
		other = s->nfiles == 2 ? &s->files[!s->now] : NULL;
		is_last = !other || reclog_pair_turn(other->fd) <= turn;
		if (turn != 0)
			r = read_record(s, f, over || !is_last);
		if (turn != 0 && reclog_pair_turn(f->fd) != turn)
			s->has_head = false; /* it may be of another turn */
		else if (r != 0)
			return r;
		else if (turn != 0 && is_last)
			return 0;
		if (!pick_turn(s, turn))
			return 0;
	}
	return 0;
}

/* ---------------------------------------------------------------------- */

int log_stream_peek(struct log_stream *s, bool over,
                    const struct reclog_record **ret)
{
	int r = 1;

	if (!s->has_head)
		r = s->pair ? next_of_pair(s, over) : next_of_append(s, over);
	if (r > 0)
		*ret = &s->head;
	return r;
}

void log_stream_take(struct log_stream *s)
{
	s->has_head = false;
}
