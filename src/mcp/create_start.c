/* What was planned is held against the policy, and started. */
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "mcp/create.h"
#include "mcp/fail.h"

#include "base/banned.h"

#define LAYERS_MAX 256

/* ---- the policy ---------------------------------------------------------- */

/* Put the real path in place of *@path, which the plan owns. */
static int hold(const struct policy *p, char **path, struct msb_error *error)
{
	char *real;
	int r = policy_path(p, *path, &real, error);

	if (r < 0)
		return r;
	free(*path);
	*path = real;
	return 0;
}

static int check_mounts(const struct policy *p, struct create_plan *plan,
                        struct msb_error *error)
{
	int r = 0;

	for (size_t i = 0; i < plan->conf.mounts.n && r == 0; i++) {
		struct msb_mount *m = plan->conf.mounts.v[i];

		if (m->kind != MSB_MOUNT_DIR && m->kind != MSB_MOUNT_FILE &&
		    m->kind != MSB_MOUNT_DISK)
			continue;
		r = hold(p, (char **)(uintptr_t)&m->source, error);
		if (policy_refuses_links(p))
			m->flags |= MSB_MOUNT_NO_LINKS;
	}
	return r;
}

static int check_patches(const struct policy *p, struct create_plan *plan,
                         struct msb_error *error)
{
	int r = 0;

	for (size_t i = 0; i < plan->patches.n && r == 0; i++) {
		struct msb_patch *patch = &plan->patches.v[i];

		if (patch->kind != MSB_PATCH_COPY)
			continue;
		r = hold(p, (char **)(uintptr_t)&patch->source, error);
		if (policy_refuses_links(p))
			patch->flags |= MSB_PATCH_NO_LINKS;
	}
	return r;
}

static int check_image(const struct policy *p, struct create_plan *plan,
                       struct msb_error *error)
{
	char *real;
	int r = policy_image(p, plan->reference, &real, error);

	if (r < 0)
		return r;
	free(plan->conf.image); /* whose the reference is */
	plan->reference = plan->conf.image = real;
	return 0;
}

static int check_secrets(const struct policy *p, const struct create_plan *plan,
                         struct msb_error *error)
{
	const struct msb_secret *const *s = plan->opts.secrets;
	int r = 0;

	for (; s && *s && r == 0; s++)
		r = policy_secret(p, (*s)->source ? (*s)->source : (*s)->env,
		                  error);
	return r;
}

static bool is_loopback(const char *bind)
{
	return !bind || strncmp(bind, "127.", 4) == 0 ||
	       strcmp(bind, "::1") == 0;
}

/* Others of the network get in by people alone. */
static int check_ports(const struct create_plan *plan, struct msb_error *error)
{
	const struct msb_port *const *port = plan->opts.network->ports;

	for (; port && *port; port++) {
		if (is_loopback((*port)->bind))
			continue;
		(void)tool_fail(
			error, MSB_ERR_PERMISSION,
			"ports are published on 127.0.0.1 alone here, not "
			"on %s",
			(*port)->bind);
		return tool_hint(error, "a person can do that: msb create -p");
	}
	return 0;
}

/* The image that a snapshot was written over must be allowed, too. */
static int check_snapshot(struct mcp_call *c, struct msb_home *home,
                          const char *name, struct msb_error *error)
{
	const struct msb_snapshot_info *i;
	struct msb_snapshots *list;
	int r = 0;

	if (!c->server->opt->images.n)
		return 0;
	r = msb_snapshot_list(home, name, &list, error);
	if (r < 0)
		return r;
	i = msb_snapshots_get(list, 0);
	if (i)
		r = policy_image(&c->server->policy, i->image, NULL, error);
	msb_snapshots_free(list);
	return r;
}

static int check(struct mcp_call *c, struct msb_home *home,
                 struct create_plan *plan, struct msb_error *error)
{
	const struct policy *p = &c->server->policy;
	int r = check_mounts(p, plan, error);

	if (r == 0)
		r = check_patches(p, plan, error);
	if (r == 0)
		r = check_secrets(p, plan, error);
	if (r == 0)
		r = check_ports(plan, error);
	if (r == 0 && plan->reference)
		r = check_image(p, plan, error);
	if (r == 0 && plan->opts.snapshot)
		r = check_snapshot(c, home, plan->opts.snapshot, error);
	return r;
}

/* ---- the image ----------------------------------------------------------- */

struct pull {
	struct mcp_call *call;
	uint64_t done[LAYERS_MAX], total;
};

/* Of a pull's thread. Bytes of all layers. */
static int on_pull(void *arg, const struct msb_pull_event *e)
{
	static const char *const words[] = {
		[MSB_PULL_RESOLVING] = "asking for",
		[MSB_PULL_RESOLVED] = "found",
		[MSB_PULL_LAYER] = "getting",
		[MSB_PULL_LAYER_DONE] = "getting",
		[MSB_PULL_MERGING] = "unpacking",
		[MSB_PULL_DONE] = "have",
	};
	struct pull *p = arg;
	uint64_t sum = 0;

	if (e->kind == MSB_PULL_RESOLVED)
		p->total = e->total;
	if ((e->kind == MSB_PULL_LAYER || e->kind == MSB_PULL_LAYER_DONE) &&
	    e->layer < LAYERS_MAX)
		p->done[e->layer] = e->done;
	for (size_t i = 0; i < LAYERS_MAX; i++)
		sum += p->done[i];
	if (e->kind >= 0 && (size_t)e->kind < ARRAY_SIZE(words))
		tool_progress(p->call, sum, MAX(p->total, sum), "%s %s",
		              words[e->kind], e->reference);
	return tool_cancelled(p->call);
}

int create_pull(struct mcp_call *c, struct msb_home *home,
                const char *reference, const struct msb_pull_opts *opts,
                struct msb_image **ret, struct msb_error *error)
{
	struct pull p = {.call = c};
	struct msb_pull_opts o = *opts;

	o.event = on_pull;
	o.event_arg = &p;
	if (policy_refuses_links(&c->server->policy))
		o.flags |= MSB_PULL_NO_LINKS;
	return msb_image_pull(home, reference, &o, ret, error);
}

/* ---- the sandbox --------------------------------------------------------- */

static int get_image(struct mcp_call *c, struct msb_home *home,
                     const struct create_plan *plan, struct msb_image **ret,
                     struct msb_error *error)
{
	struct msb_pull_opts o = MSB_PULL_OPTS_INIT;

	*ret = NULL;
	if (plan->opts.snapshot)
		return 0;
	o.policy = plan->pull;
	o.root = plan->root;
	return create_pull(c, home, plan->reference, &o, ret, error);
}

/* The console says more than any word of ours about why it did not boot. */
static void add_console(struct msb_sandbox *sandbox, struct msb_error *error)
{
	const char *tail = msb_sandbox_console(sandbox);
	size_t len = strlen(tail), room = sizeof(error->message) / 2;

	if (!len || error->code != MSB_ERR_BOOT)
		return;
	tail += len > room ? len - room : 0;
	len = strlen(error->message);
	(void)snprintf(error->message + len, sizeof(error->message) - len,
	               "; its console ends with: %s", tail);
}

int create_start(struct mcp_call *c, struct msb_home *home,
                 struct create_plan *plan, struct msb_sandbox **ret,
                 struct msb_error *error)
{
	struct msb_sandbox *sandbox = NULL;
	struct msb_image *image = NULL;
	int r = check(c, home, plan, error);

	if (r == 0)
		r = get_image(c, home, plan, &image, error);
	if (r == 0) {
		plan->opts.image = image;
		plan->opts.log_fd = c->server->opt->log_fd;
		plan->opts.log_level = c->server->opt->log_level;
		tool_progress(c, 0, 0, "starting");
		r = msb_sandbox_create(home, &plan->opts, &sandbox, error);
	}
	msb_image_free(image);
	if (r == 0)
		r = msb_sandbox_wait_ready(sandbox, -1, error);
	if (r == 0) {
		*ret = sandbox;
		return 0;
	}
	if (sandbox) {
		add_console(sandbox, error);
		/* What never came up is nothing to keep. */
		if (plan->opts.flags & MSB_SANDBOX_KEEP) {
			msb_cancel_use(NULL);
			(void)msb_sandbox_remove(home, msb_sandbox_id(sandbox),
			                         MSB_REMOVE_FORCE, NULL);
			msb_cancel_use(c->cancel);
		}
	}
	msb_sandbox_free(sandbox);
	return r;
}
