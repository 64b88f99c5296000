/*
 * sessions.h - commands that go on in the background, while clients look in
 * now and then.
 *
 * What a command writes is kept as pieces with numbers, at most
 * SESSION_BYTES_MAX of it: the oldest go first, and who comes too late is told.
 * One thread feeds all of them. One that nobody asked about for the time to
 * live is ended. Any thread may call; handles are numbers of 128 random bits.
 */
#ifndef MCP_SESSIONS_H
#define MCP_SESSIONS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "microsandbox.h"

#define SESSIONS_MAX      64u
#define SESSION_BYTES_MAX (1u << 20)
#define SESSION_PIECE_MAX 4096u
#define SESSION_ID_LEN    32

struct sessions;
struct mcp_call;

struct sessions *sessions_new(uint64_t ttl_ms);
void sessions_free(struct sessions *s); /* ends all; NULL is fine */

/* Takes @exec, also on failure. @ret_id has room for SESSION_ID_LEN + 1. */
int sessions_add(struct sessions *s, struct msb_exec *exec, const char *sandbox,
                 char *ret_id, struct msb_error *error);

struct session_poll {
	uint64_t cursor;  /* the first piece that is wanted */
	size_t limit;     /* pieces */
	size_t max_bytes; /* of them all, but one is always given */
	uint64_t wait_ms; /* for the first, or the end */
	const char *encoding;
};

/* What poll's output says; MSB_ERR_NOT_FOUND. */
int sessions_poll(struct sessions *s, struct mcp_call *c, const char *id,
                  const struct session_poll *p, json_t **ret,
                  struct msb_error *error);

/*
 * All of @data, waiting for room for at most @timeout_ms; then the end of
 * input, if @close. *@ret_taken bytes were taken, also on failure.
 */
int sessions_write(struct sessions *s, struct mcp_call *c, const char *id,
                   const void *data, size_t len, int close, uint64_t timeout_ms,
                   size_t *ret_taken, struct msb_error *error);
int sessions_signal(struct sessions *s, const char *id, int number,
                    struct msb_error *error);
/* The command is killed, if it runs, and all of it forgotten. */
int sessions_close(struct sessions *s, const char *id, json_t **ret,
                   struct msb_error *error);
/* [{execSessionId, name, status}] */
json_t *sessions_list(struct sessions *s);

#endif
