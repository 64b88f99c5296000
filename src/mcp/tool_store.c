/* Tools for what stays: images, volumes, snapshots. */
#include "forms/describe_json.h"
#include "mcp/tools_int.h"

#include "base/banned.h"

TOOL_DECLARE(image_pull);
TOOL_DECLARE(image_list);
TOOL_DECLARE(image_inspect);
TOOL_DECLARE(image_remove);
TOOL_DECLARE(image_prune);
TOOL_DECLARE(volume_create);
TOOL_DECLARE(volume_list);
TOOL_DECLARE(volume_inspect);
TOOL_DECLARE(volume_remove);
TOOL_DECLARE(snapshot_create);
TOOL_DECLARE(snapshot_list);
TOOL_DECLARE(snapshot_inspect);
TOOL_DECLARE(snapshot_verify);
TOOL_DECLARE(snapshot_remove);
TOOL_DECLARE(snapshot_save);
TOOL_DECLARE(snapshot_load);

static int home_of(struct mcp_call *c, struct msb_home **ret,
                   struct msb_error *error)
{
	return server_home(c->server, ret, error);
}

/* ---- images -------------------------------------------------------------- */

#define REFERENCE_FIELD                                                        \
	FIELD_RANGE("reference", FIELD_TEXT, FIELD_REQUIRED, 1, 4096,          \
	            "As docker has it: alpine, python:3.12, "                  \
	            "ghcr.io/a/b@sha256:...")
#define IMAGE_OUT                                                              \
	FIELD("reference", FIELD_TEXT, FIELD_REQUIRED, NULL),                  \
		FIELD("digest", FIELD_TEXT, FIELD_REQUIRED, NULL),             \
		{"size_bytes", FIELD_INT, FIELD_REQUIRED, 0, 0, NULL,          \
	         NULL,         NULL},                                          \
		FIELD("config", FIELD_OBJECT, 0, NULL)

const struct field image_pull_in[] = {
	REFERENCE_FIELD,
	FIELD_CHOICE(
		"pullPolicy", FIELD_TEXT, 0, 0, "if-missing always never",
		"if-missing (default): only what is not here; always: ask the "
		"registry whether the tag moved"),
	FIELD_RANGE("platform", FIELD_TEXT, 0, 1, 64,
                    "linux/amd64 (this machine's)"),
	{0},
};
const struct field image_pull_out[] = {IMAGE_OUT, {0}};

TOOL(image_pull)
{
	static const struct {
		const char *word;
		enum msb_pull_policy policy;
	} words[] = {
		{"if-missing", MSB_PULL_MISSING},
		{"always",     MSB_PULL_ALWAYS },
		{"never",      MSB_PULL_NEVER  },
	};
	const char *reference = json_str(args, "reference", ""),
		   *policy = json_str(args, "pullPolicy", "if-missing");
	struct msb_pull_opts o = MSB_PULL_OPTS_INIT;
	cleanup_free char *real = NULL;
	struct msb_image *image;
	struct msb_home *home;
	int r = policy_image(&c->server->policy, reference, &real, error);

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(words[i].word, policy) == 0)
			o.policy = words[i].policy;
	o.platform = json_str(args, "platform", NULL);
	if (r == 0)
		r = home_of(c, &home, error);
	if (r == 0)
		r = create_pull(c, home, real, &o, &image, error);
	if (r < 0)
		return r;
	*ret = describe_image_whole(msb_image_info(image));
	msb_image_free(image);
	return 0;
}

const struct field image_list_in[] = {{0}};
const struct field image_list_out[] = {
	FIELD("images", FIELD_OBJECTS, FIELD_REQUIRED,
              "reference, digest, size_bytes, architecture, created_at"),
	{0},
};

TOOL(image_list)
{
	struct msb_image **list = NULL;
	struct msb_home *home;
	size_t n = 0;
	json_t *rows;
	int r = home_of(c, &home, error);

	(void)args;
	if (r == 0)
		r = msb_image_list(home, &list, &n, error);
	if (r < 0)
		return r;
	rows = json_array();
	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(
			rows, describe_image(msb_image_info(list[i])));
	msb_image_list_free(list, n);
	*ret = json_pack("{s:o}", "images", rows);
	return 0;
}

const struct field image_inspect_in[] = {REFERENCE_FIELD, {0}};
const struct field image_inspect_out[] = {IMAGE_OUT, {0}};

TOOL(image_inspect)
{
	struct msb_image *image;
	struct msb_home *home;
	int r = home_of(c, &home, error);

	if (r == 0)
		r = msb_image_open(home, json_str(args, "reference", ""),
		                   &image, error);
	if (r < 0)
		return r;
	*ret = describe_image_whole(msb_image_info(image));
	msb_image_free(image);
	return 0;
}

const struct field image_remove_in[] = {
	FIELD_RANGE("reference", FIELD_TEXT, 0, 1, 4096, NULL),
	FIELD_RANGE("references", FIELD_TEXTS, 0, 0, 256, "Several"),
	FIELD("force", FIELD_BOOL, 0,
              "Also images that sandboxes use: they keep what they need"),
	CONFIRM_FIELD,
	{0},
};
const struct field image_remove_out[] = {
	FIELD("removed", FIELD_TEXTS, FIELD_REQUIRED, NULL),
	{"bytes_reclaimed", FIELD_INT, FIELD_REQUIRED, 0, 0, NULL, NULL, NULL},
	{0  },
};

static int check_users(struct msb_home *home, const char *reference,
                       struct msb_error *error)
{
	char **users = NULL;
	int r = msb_image_users(home, reference, &users, error);

	if (r == 0 && users[0]) {
		(void)tool_fail(error, MSB_ERR_BUSY,
		                "image %s is in use by sandbox %s%s", reference,
		                users[0], users[1] ? " and others" : "");
		r = tool_hint(error, "remove them first, or say \"force\": "
		                     "true: they keep what they need");
	}
	msb_strings_free(users);
	return r;
}

static int remove_images(struct msb_home *home, const struct strv *names,
                         bool force, struct msb_error *error)
{
	int r = 0;

	/* All are looked at before the first is gone. */
	for (size_t i = 0; i < names->n && r == 0 && !force; i++)
		r = check_users(home, names->v[i], error);
	for (size_t i = 0; i < names->n && r == 0; i++)
		r = msb_image_remove(home, names->v[i], error);
	return r;
}

TOOL(image_remove)
{
	const char *one = json_str(args, "reference", NULL);
	struct strv cleanup_strv names = {0};
	struct msb_home *home;
	uint64_t freed = 0;
	uint32_t count;
	int r = tool_confirmed(args, "image_remove", error);

	if (r < 0)
		return r;
	if ((one && strv_add(&names, one) < 0) ||
	    args_list(json_object_get(args, "references"), &names) < 0)
		return tool_no_memory(error);
	if (!names.n)
		return tool_fail(error, MSB_ERR_INVALID,
		                 "reference is missing");
	r = home_of(c, &home, error);
	if (r == 0)
		r = remove_images(home, &names, json_bool(args, "force", false),
		                  error);
	if (r == 0)
		r = msb_image_prune(home, 0, &freed, &count, error);
	if (r < 0)
		return r;
	*ret = json_pack("{s:[], s:I}", "removed", "bytes_reclaimed",
	                 (json_int_t)freed);
	for (size_t i = 0; i < names.n; i++)
		(void)json_array_append_new(json_object_get(*ret, "removed"),
		                            text_json_str(names.v[i]));
	return 0;
}

const struct field image_prune_in[] = {
	FIELD("all", FIELD_BOOL, 0,
              "Every image, not only content that none needs"),
	CONFIRM_FIELD,
	{0},
};
const struct field image_prune_out[] = {
	{"image_refs_removed", FIELD_INT, FIELD_REQUIRED, 0, 0, NULL, NULL,
         NULL},
	{"bytes_reclaimed",      FIELD_INT, FIELD_REQUIRED, 0, 0, NULL, NULL, NULL},
	{0		  },
};

TOOL(image_prune)
{
	struct msb_home *home;
	uint64_t freed = 0;
	uint32_t count = 0;
	int r = tool_confirmed(args, "image_prune", error);

	if (r == 0)
		r = home_of(c, &home, error);
	if (r == 0)
		r = msb_image_prune(home, json_bool(args, "all", false), &freed,
		                    &count, error);
	if (r == 0)
		*ret = json_pack("{s:I, s:I}", "image_refs_removed",
		                 (json_int_t)count, "bytes_reclaimed",
		                 (json_int_t)freed);
	return r;
}

/* ---- volumes ------------------------------------------------------------- */

#define VOLUME_NAME                                                            \
	FIELD_RANGE("name", FIELD_TEXT, FIELD_REQUIRED, 1, MSB_NAME_MAX,       \
	            "Of the volume")
#define VOLUME_OUT                                                              \
	FIELD("name", FIELD_TEXT, FIELD_REQUIRED, NULL),                        \
		FIELD("kind", FIELD_TEXT, FIELD_REQUIRED, NULL),                \
		{"used_bytes", FIELD_INT, FIELD_REQUIRED, 0, 0, NULL,           \
	         NULL,         NULL},                                           \
		{"in_use", FIELD_BOOL, FIELD_REQUIRED, 0, 0, NULL, NULL, NULL}, \
		FIELD("sandboxes", FIELD_TEXTS, FIELD_REQUIRED,                 \
	              "That mount it")

const struct field volume_create_in[] = {
	VOLUME_NAME,
	FIELD_CHOICE("kind", FIELD_TEXT, 0, 0, "dir disk",
                     "dir (default): several sandboxes at once; disk: one at a "
                     "time"),
	FIELD_RANGE("sizeMib", FIELD_INT, 0, 16, 1073741824, "Of a disk"),
	FIELD_RANGE("quotaMib", FIELD_INT, 0, 1, 1073741824, "Of a dir (none)"),
	{0},
};
const struct field volume_create_out[] = {VOLUME_OUT, {0}};

static int inspect_volume(struct msb_home *home, const char *name, json_t **ret,
                          struct msb_error *error)
{
	struct msb_volumes *list;
	int r = msb_volume_list(home, name, &list, error);

	if (r < 0)
		return r;
	*ret = describe_volume(msb_volumes_get(list, 0));
	msb_volumes_free(list);
	return 0;
}

TOOL(volume_create)
{
	struct msb_volume_opts o = MSB_VOLUME_OPTS_INIT;
	const char *name = json_str(args, "name", "");
	int64_t size = json_int(args, "sizeMib", 0),
		quota = json_int(args, "quotaMib", 0);
	struct msb_home *home;
	int r = home_of(c, &home, error);

	if (strcmp(json_str(args, "kind", "dir"), "disk") == 0)
		o.kind = MSB_VOLUME_DISK;
	if (o.kind == MSB_VOLUME_DISK ? quota || !size : size && quota)
		return tool_fail(
			error, MSB_ERR_INVALID,
			"a disk needs sizeMib; a dir may have quotaMib");
	o.size_bytes = (uint64_t)(size ? size : quota) * MIB;
	if (r == 0)
		r = msb_volume_create(home, name, &o, error);
	return r < 0 ? r : inspect_volume(home, name, ret, error);
}

const struct field volume_list_in[] = {{0}};
const struct field volume_list_out[] = {
	FIELD("volumes", FIELD_OBJECTS, FIELD_REQUIRED,
              "name, kind, used_bytes, in_use, sandboxes"),
	{0},
};

TOOL(volume_list)
{
	struct msb_volumes *list;
	struct msb_home *home;
	json_t *rows;
	int r = home_of(c, &home, error);

	(void)args;
	if (r == 0)
		r = msb_volume_list(home, NULL, &list, error);
	if (r < 0)
		return r;
	rows = json_array();
	for (size_t i = 0; i < msb_volumes_count(list); i++)
		(void)json_array_append_new(
			rows, describe_volume(msb_volumes_get(list, i)));
	msb_volumes_free(list);
	*ret = json_pack("{s:o}", "volumes", rows);
	return 0;
}

const struct field volume_inspect_in[] = {VOLUME_NAME, {0}};
const struct field volume_inspect_out[] = {VOLUME_OUT, {0}};

TOOL(volume_inspect)
{
	struct msb_home *home;
	int r = home_of(c, &home, error);

	return r < 0 ? r
	             : inspect_volume(home, json_str(args, "name", ""), ret,
	                              error);
}

const struct field volume_remove_in[] = {
	VOLUME_NAME,
	FIELD("force", FIELD_BOOL, 0,
              "Also when a sandbox on record mounts it"),
	CONFIRM_FIELD,
	{0},
};
const struct field volume_remove_out[] = {
	FIELD("removed", FIELD_TEXT, FIELD_REQUIRED, NULL),
	{0},
};

TOOL(volume_remove)
{
	const char *name = json_str(args, "name", "");
	struct msb_home *home;
	int r = tool_confirmed(args, "volume_remove", error);

	if (r == 0)
		r = home_of(c, &home, error);
	if (r == 0)
		r = msb_volume_remove(home, name,
		                      json_bool(args, "force", false), error);
	if (r == 0)
		*ret = json_pack("{s:s}", "removed", name);
	return r;
}

/* ---- snapshots ----------------------------------------------------------- */

#define SNAPSHOT_FIELD                                                         \
	FIELD_RANGE("pathOrName", FIELD_TEXT, FIELD_REQUIRED, 1, 256,          \
	            "Of the snapshot: its name, or digest")
#define SNAPSHOT_OUT                                                           \
	FIELD("name", FIELD_TEXT, FIELD_REQUIRED, NULL),                       \
		FIELD("digest", FIELD_TEXT, FIELD_REQUIRED, NULL),             \
		{"image_ref", FIELD_TEXT, FIELD_NULLABLE, 0,                   \
	         0,           NULL,       NULL,           NULL},               \
		{"size_bytes", FIELD_INT, FIELD_REQUIRED, 0, 0, NULL,          \
	         NULL,         NULL},                                          \
	{                                                                      \
		"created_at", FIELD_TEXT, FIELD_REQUIRED, 0, 0, NULL, NULL,    \
			NULL                                                   \
	}

/* Other clients say name, too. */
static const char *snapshot_of(const json_t *args)
{
	return json_str(args, "pathOrName", "");
}

static int inspect_snapshot(struct msb_home *home, const char *name,
                            json_t **ret, struct msb_error *error)
{
	struct msb_snapshots *list;
	int r = msb_snapshot_list(home, name, &list, error);

	if (r < 0)
		return r;
	*ret = describe_snapshot(msb_snapshots_get(list, 0));
	msb_snapshots_free(list);
	return 0;
}

const struct field snapshot_create_in[] = {
	FIELD_RANGE("name", FIELD_TEXT, FIELD_REQUIRED, 1, MSB_NAME_MAX,
                    "Of the new snapshot"),
	FIELD_RANGE("fromSandbox", FIELD_TEXT, FIELD_REQUIRED, 1, MSB_NAME_MAX,
                    "It must have stopped, and be kept: made with a name"),
	FIELD("labels", FIELD_PAIRS, 0, NULL),
	FIELD("recordIntegrity", FIELD_BOOL, 0,
              "Take a digest of the content, too, which reads it all"),
	FIELD("force", FIELD_BOOL, 0,
              "Replace one of the same name; needs confirm"),
	CONFIRM_FIELD,
	{0},
};
const struct field snapshot_create_out[] = {SNAPSHOT_OUT, {0}};

static int on_bytes(void *arg, const struct msb_copy_event *e)
{
	struct mcp_call *c = arg;

	tool_progress(c, e->bytes, 0, "reading");
	return tool_cancelled(c);
}

TOOL(snapshot_create)
{
	struct msb_snapshot_opts o = MSB_SNAPSHOT_OPTS_INIT;
	struct strv cleanup_strv labels = {0};
	const char *name = json_str(args, "name", "");
	struct msb_home *home;
	int r = 0;

	if (args_pairs(json_object_get(args, "labels"), &labels) < 0)
		return tool_no_memory(error);
	o.labels = (const char *const *)strv_list(&labels);
	o.event = on_bytes;
	o.event_arg = c;
	if (json_bool(args, "recordIntegrity", false))
		o.flags |= MSB_SNAPSHOT_INTEGRITY;
	if (json_bool(args, "force", false)) {
		o.flags |= MSB_SNAPSHOT_REPLACE;
		r = tool_confirmed(args, "force", error);
	}
	if (r == 0)
		r = home_of(c, &home, error);
	if (r == 0)
		r = msb_snapshot_create(home, json_str(args, "fromSandbox", ""),
		                        name, &o, error);
	return r < 0 ? r : inspect_snapshot(home, name, ret, error);
}

const struct field snapshot_list_in[] = {{0}};
const struct field snapshot_list_out[] = {
	FIELD("snapshots", FIELD_OBJECTS, FIELD_REQUIRED,
              "name, digest, image_ref, size_bytes, created_at, labels"),
	{0},
};

TOOL(snapshot_list)
{
	struct msb_snapshots *list;
	struct msb_home *home;
	json_t *rows;
	int r = home_of(c, &home, error);

	(void)args;
	if (r == 0)
		r = msb_snapshot_list(home, NULL, &list, error);
	if (r < 0)
		return r;
	rows = json_array();
	for (size_t i = 0; i < msb_snapshots_count(list); i++)
		(void)json_array_append_new(
			rows, describe_snapshot(msb_snapshots_get(list, i)));
	msb_snapshots_free(list);
	*ret = json_pack("{s:o}", "snapshots", rows);
	return 0;
}

const struct field snapshot_inspect_in[] = {SNAPSHOT_FIELD, {0}};
const struct field snapshot_inspect_out[] = {SNAPSHOT_OUT, {0}};

TOOL(snapshot_inspect)
{
	struct msb_home *home;
	int r = home_of(c, &home, error);

	return r < 0 ? r
	             : inspect_snapshot(home, snapshot_of(args), ret, error);
}

const struct field snapshot_verify_in[] = {SNAPSHOT_FIELD, {0}};
const struct field snapshot_verify_out[] = {
	FIELD("verified", FIELD_BOOL, FIELD_REQUIRED, NULL),
	{0},
};

TOOL(snapshot_verify)
{
	struct msb_home *home;
	int r = home_of(c, &home, error);

	if (r == 0)
		r = msb_snapshot_verify(home, snapshot_of(args), error);
	if (r == 0)
		*ret = json_pack("{s:b}", "verified", 1);
	return r;
}

const struct field snapshot_remove_in[] = {
	SNAPSHOT_FIELD,
	FIELD("force", FIELD_BOOL, 0, "Fine when there is none"),
	CONFIRM_FIELD,
	{0},
};
const struct field snapshot_remove_out[] = {
	FIELD("removed", FIELD_TEXT, FIELD_REQUIRED, NULL),
	{0},
};

TOOL(snapshot_remove)
{
	struct msb_home *home;
	int r = tool_confirmed(args, "snapshot_remove", error);

	if (r == 0)
		r = home_of(c, &home, error);
	if (r == 0)
		r = msb_snapshot_remove(home, snapshot_of(args), error);
	if (r == -MSB_ERR_NOT_FOUND && json_bool(args, "force", false))
		r = 0;
	if (r == 0)
		*ret = json_pack("{s:s}", "removed", snapshot_of(args));
	return r;
}

const struct field snapshot_save_in[] = {
	SNAPSHOT_FIELD,
	FIELD_RANGE("out", FIELD_TEXT, FIELD_REQUIRED, 1, 4096,
                    "The file of the host, below a folder that is allowed"),
	FIELD("withImage", FIELD_BOOL, 0, "With the image's layers"),
	FIELD("plainTar", FIELD_BOOL, 0, "Do not compress"),
	{0},
};
const struct field snapshot_save_out[] = {
	FIELD("path", FIELD_TEXT, FIELD_REQUIRED, NULL),
	{0},
};

TOOL(snapshot_save)
{
	struct policy_pin cleanup(policy_unpin) pin = {.fd = -1};
	const char *path = json_str(args, "out", "");
	struct msb_home *home;
	uint32_t flags = 0;
	int r = policy_pin(&c->server->policy, path, &pin, error);

	if (json_bool(args, "withImage", false))
		flags |= MSB_SNAPSHOT_WITH_IMAGE;
	if (json_bool(args, "plainTar", false))
		flags |= MSB_SNAPSHOT_PLAIN;
	if (r == 0)
		r = home_of(c, &home, error);
	if (r == 0)
		r = msb_snapshot_save(home, snapshot_of(args), pin.text, flags,
		                      error);
	if (r == 0)
		*ret = json_pack("{s:s}", "path", path);
	return r;
}

const struct field snapshot_load_in[] = {
	FIELD_RANGE("archive", FIELD_TEXT, FIELD_REQUIRED, 1, 4096,
                    "The file of the host, below a folder that is allowed"),
	FIELD_RANGE("name", FIELD_TEXT, 0, 1, MSB_NAME_MAX,
                    "Instead of how it was called"),
	{0},
};
const struct field snapshot_load_out[] = {SNAPSHOT_OUT, {0}};

TOOL(snapshot_load)
{
	struct policy_pin cleanup(policy_unpin) pin = {.fd = -1};
	struct msb_home *home;
	char *name = NULL;
	int r = policy_pin(&c->server->policy, json_str(args, "archive", ""),
	                   &pin, error);

	if (r == 0)
		r = home_of(c, &home, error);
	if (r == 0)
		r = msb_snapshot_load(home, pin.text,
		                      json_str(args, "name", NULL), &name,
		                      error);
	if (r == 0)
		r = inspect_snapshot(home, name, ret, error);
	msb_free(name);
	return r;
}
