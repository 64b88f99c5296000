/* server.h - one server and the requests that it works on. See mcp.h. */
#ifndef MCP_SERVER_H
#define MCP_SERVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "mcp/outbox.h"
#include "mcp/owned.h"
#include "mcp/policy.h"
#include "mcp/rpc.h"
#include "mcp/tool.h"

struct sessions;

/* Protocol revisions, oldest first: the last has no handshake. */
enum mcp_revision {
	MCP_2024_11_05,
	MCP_2025_03_26,
	MCP_2025_06_18,
	MCP_2025_11_25,
	MCP_2026_07_28,
	MCP_REVISIONS,
	MCP_NO_REVISION = -1,
};
#define MCP_LEGACY_LATEST MCP_2025_11_25

extern const char *const mcp_revisions[];

/* Several messages in one, as only 2025-03-26 has them: answered in one. */
struct mcp_batch {
	size_t open; /* requests that are not answered, and the reader */
	json_t *answers;
};

struct mcp_call {
	struct mcp_call *next;  /* of server->calls */
	struct mcp_call *queue; /* behind it, while it waits for a worker */
	struct mcp_server *server;
	struct mcp_batch *batch;
	json_t *id, *params;
	json_t *token; /* of progress, or NULL */
	uint64_t progress, progress_ns;
	const struct mcp_tool *tool; /* NULL: resources/read */
	struct msb_cancel *cancel;
	int revision;
	bool failed;
	bool listens; /* subscriptions/listen: nobody works on it */
	atomic_bool cancelled;
};

struct mcp_server {
	const struct mcp_app *app;
	const struct mcp_options *opt;
	struct policy policy;
	struct owned owned;
	struct sessions *sessions;
	struct outbox out;

	pthread_mutex_t lock; /* all below */
	pthread_cond_t work, quiet;
	struct mcp_call *calls; /* all that are not answered */
	struct mcp_call *first, *last;
	size_t queued, ncalls;
	unsigned workers, idle;
	bool ending;
	bool threads; /* false: calls are made at once, by the reader */
	int revision; /* of the handshake, or MCP_NO_REVISION */
	struct msb_home *home;

	/* Where messages go; NULL: to out. For tests. */
	void (*sink)(void *arg, json_t *message);
	void *sink_arg;
};

/* ---- calls.c ------------------------------------------------------------- */

int server_init(struct mcp_server *s, const struct mcp_app *app,
                const struct mcp_options *opt, struct err *err);
/* Cancels what runs, waits for it, and gives all back but the outbox. */
void server_end(struct mcp_server *s);
void server_release(struct mcp_server *s);

/* Steals @message. @optional: dropped where there is no room. */
void server_send(struct mcp_server *s, json_t *message, bool optional);
/* The same for an answer, which may belong to a batch. */
void server_answer(struct mcp_server *s, struct mcp_batch *batch,
                   json_t *message);
struct mcp_batch *server_batch(struct mcp_server *s);
/* The reader has seen all of it. */
void server_batch_done(struct mcp_server *s, struct mcp_batch *batch);

/*
 * A new call of request @m, on the list of those not answered; NULL and an
 * answer that says why.
 */
struct mcp_call *call_new(struct mcp_server *s, const struct rpc_message *m,
                          int revision, struct mcp_batch *batch);
/* Give it to a worker. */
void call_queue(struct mcp_call *c);
/* Answer with @message (stolen; NULL: no memory), or not if it was cancelled.
 */
void call_done(struct mcp_call *c, json_t *message);
/* notifications/cancelled */
void server_cancel(struct mcp_server *s, const json_t *id);

/* The home of all calls, opened at the first. */
int server_home(struct mcp_server *s, struct msb_home **ret,
                struct msb_error *error);

/* ---- dispatch.c ---------------------------------------------------------- */

/* A line that came in; NULL: one that was too long. */
void server_line(struct mcp_server *s, const char *line, size_t len);
/* The work of a call that was queued: its answer. */
json_t *call_work(struct mcp_call *c);
/* { tools: [...] } for a revision, without what it does not know. */
json_t *server_tools(const struct mcp_server *s, int revision);
/* "resultType" and "_meta", where the revision has them. */
json_t *result_finish(json_t *result, int revision);

#endif
