/* Tools for files in sandboxes that run. */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "mcp/tools_int.h"

#include "base/banned.h"

TOOL_DECLARE(sandbox_fs_read);
TOOL_DECLARE(sandbox_fs_write);
TOOL_DECLARE(sandbox_fs_list);
TOOL_DECLARE(sandbox_fs_stat);
TOOL_DECLARE(sandbox_fs_exists);
TOOL_DECLARE(sandbox_fs_mkdir);
TOOL_DECLARE(sandbox_fs_remove);
TOOL_DECLARE(sandbox_fs_copy);
TOOL_DECLARE(sandbox_fs_rename);
TOOL_DECLARE(sandbox_fs_copy_from_host);
TOOL_DECLARE(sandbox_fs_copy_to_host);

#define PATH_FIELD                                                             \
	FIELD_RANGE("path", FIELD_TEXT, FIELD_REQUIRED, 1, 4096,               \
	            "A path inside the sandbox")
#define FROM_TO_FIELDS                                                         \
	FIELD_RANGE("from", FIELD_TEXT, FIELD_REQUIRED, 1, 4096,               \
	            "A path inside the sandbox"),                              \
		FIELD_RANGE("to", FIELD_TEXT, FIELD_REQUIRED, 1, 4096,         \
	                    "A path inside the sandbox")
#define OK_OUT(tool)                                                           \
	const struct field tool##_out[] = {                                    \
		FIELD("ok", FIELD_BOOL, FIELD_REQUIRED, NULL),                 \
		{0},                                                           \
	}

static int open_of(struct mcp_call *c, const json_t *args,
                   struct msb_sandbox **ret, struct msb_error *error)
{
	return tool_open(c, json_str(args, "name", ""), ret, error);
}

static const char *path_of(const json_t *args)
{
	return json_str(args, "path", "");
}

static int done(int r, json_t **ret)
{
	if (r == 0)
		*ret = json_pack("{s:b}", "ok", 1);
	return r;
}

/* ---- read and write ------------------------------------------------------ */

const struct field sandbox_fs_read_in[] = {
	NAME_FIELD,
	PATH_FIELD,
	ENCODING_FIELD,
	FIELD("offset", FIELD_INT, 0, "Bytes to leave out (0)"),
	MAX_BYTES_FIELD,
	{0},
};

const struct field sandbox_fs_read_out[] = {
	FIELD("path", FIELD_TEXT, FIELD_REQUIRED, NULL),
	FIELD("content", FIELD_TEXT, FIELD_REQUIRED, NULL),
	FIELD("bytes", FIELD_INT, FIELD_REQUIRED, "That were read"),
	FIELD("offset", FIELD_INT, FIELD_REQUIRED, NULL),
	FIELD("truncated", FIELD_BOOL, FIELD_REQUIRED,
              "The file goes on: read again at offset + bytes"),
	{0},
};

/* One byte more than is wanted tells whether the file goes on. */
static int read_all(struct msb_file *file, size_t max, struct buf *b,
                    struct msb_error *error)
{
	while (b->len <= max) {
		size_t room = MIN(max + 1 - b->len, (size_t)65536);
		int64_t n;

		if (buf_reserve(b, room) < 0)
			return tool_no_memory(error);
		n = msb_file_get(file, b->data + b->len, room, error);
		if (n < 0)
			return (int)n;
		if (n == 0)
			break;
		buf_commit(b, (size_t)n);
	}
	return 0;
}

TOOL(sandbox_fs_read)
{
	struct msb_sandbox *cleanup_sandbox sandbox = NULL;
	struct msb_file_opts o = MSB_FILE_OPTS_INIT;
	struct buf cleanup_buf b = BUF_INIT_MAX(MCP_OUTPUT_MAX + 65536);
	const char *encoding = json_str(args, "encoding", NULL);
	size_t max = tool_max_bytes(c, args), n;
	struct msb_file *file = NULL;
	int r = open_of(c, args, &sandbox, error);

	o.mode = MSB_FILE_READ;
	o.offset = (uint64_t)json_int(args, "offset", 0);
	o.length = max + 1;
	if (r == 0)
		r = msb_file_open(sandbox, path_of(args), &o, &file, error);
	if (r == 0)
		r = read_all(file, max, &b, error);
	msb_file_close(file);
	if (r < 0)
		return r;
	n = encoding && strcmp(encoding, "base64") == 0
	            ? MIN(b.len, max)
	            : text_cut(b.data, b.len, max);
	*ret = json_pack("{s:s, s:o, s:I, s:I, s:b}", "path", path_of(args),
	                 "content", text_encoded(b.data, n, encoding), "bytes",
	                 (json_int_t)n, "offset", (json_int_t)o.offset,
	                 "truncated", b.len > n);
	return 0;
}

const struct field sandbox_fs_write_in[] = {
	NAME_FIELD,
	PATH_FIELD,
	FIELD("content", FIELD_BYTES, FIELD_REQUIRED, NULL),
	FIELD_CHOICE("encoding", FIELD_TEXT, 0, 0, "utf8 base64", "Of content"),
	FIELD_RANGE("mode", FIELD_TEXT, 0, 3, 4, "Octal: 0644, of a new file"),
	FIELD("append", FIELD_BOOL, 0, "Behind what is there"),
	FIELD("exclusive", FIELD_BOOL, 0, "It must not exist"),
	{0},
};

const struct field sandbox_fs_write_out[] = {
	FIELD("bytes", FIELD_INT, FIELD_REQUIRED, NULL),
	{0},
};

static int take_mode(const json_t *args, uint32_t *ret, struct msb_error *error)
{
	const char *text = json_str(args, "mode", NULL);
	uint64_t mode = 0;

	if (text && !num_parse_octal(text, 07777, &mode))
		return tool_fail(error, MSB_ERR_INVALID,
		                 "mode is not an octal number, as 0644");
	*ret = (uint32_t)mode;
	return 0;
}

TOOL(sandbox_fs_write)
{
	struct msb_sandbox *cleanup_sandbox sandbox = NULL;
	struct buf cleanup_buf b = BUF_INIT;
	const json_t *content = json_object_get(args, "content");
	const char *data = json_string_value(content);
	size_t len = json_string_length(content);
	uint32_t flags = 0, mode;
	int r = take_mode(args, &mode, error);

	if (r < 0)
		return r;
	if (strcmp(json_str(args, "encoding", ""), "base64") == 0) {
		if (!text_from_base64(data, len, &b))
			return tool_fail(error, MSB_ERR_INVALID,
			                 "content is not base64");
		data = buf_str(&b);
		len = b.len;
	}
	if (json_bool(args, "append", false))
		flags |= MSB_FILE_APPEND;
	if (json_bool(args, "exclusive", false))
		flags |= MSB_FILE_EXCLUSIVE;
	r = open_of(c, args, &sandbox, error);
	if (r == 0)
		r = msb_file_write(sandbox, path_of(args), data, len, mode,
		                   flags, error);
	if (r == 0)
		*ret = json_pack("{s:I}", "bytes", (json_int_t)len);
	return r;
}

/* ---- stat and list ------------------------------------------------------- */

#define LIST_MAX 10000

#define ENTRY_FIELDS                                                           \
	FIELD("type", FIELD_TEXT, FIELD_REQUIRED,                              \
	      "file, directory, symlink, fifo, socket, block, char"),          \
		FIELD("size", FIELD_INT, FIELD_REQUIRED, NULL),                \
		FIELD("mode", FIELD_TEXT, FIELD_REQUIRED, "Octal"),            \
		FIELD("uid", FIELD_INT, FIELD_REQUIRED, NULL),                 \
		FIELD("gid", FIELD_INT, FIELD_REQUIRED, NULL),                 \
		FIELD("modified", FIELD_TEXT, FIELD_REQUIRED, NULL),           \
		FIELD("target", FIELD_TEXT, FIELD_NULLABLE,                    \
	              "Where a link leads")

const struct field sandbox_fs_stat_in[] = {
	NAME_FIELD,
	PATH_FIELD,
	FIELD("follow", FIELD_BOOL, 0, "Links (true)"),
	{0},
};

const struct field sandbox_fs_stat_out[] = {
	FIELD("path", FIELD_TEXT, FIELD_REQUIRED, NULL),
	ENTRY_FIELDS,
	{0},
};

static const char *type_of(uint32_t mode)
{
	static const struct {
		uint32_t type;
		const char *word;
	} words[] = {
		{S_IFREG,  "file"     },
                {S_IFDIR,  "directory"},
                {S_IFLNK,  "symlink"  },
		{S_IFIFO,  "fifo"     },
                {S_IFSOCK, "socket"   },
                {S_IFBLK,  "block"    },
		{S_IFCHR,  "char"     },
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if ((mode & S_IFMT) == words[i].type)
			return words[i].word;
	return "unknown";
}

static json_t *entry_json(const struct msb_file_info *i, const char *key)
{
	char time[CLOCK_TEXT], mode[8];

	(void)snprintf(mode, sizeof(mode), "%04o", (unsigned)(i->mode & 07777));
	return json_pack("{s:o, s:s, s:I, s:s, s:I, s:I, s:s, s:o}", key,
	                 text_json_str(i->path), "type", type_of(i->mode),
	                 "size", (json_int_t)MIN(i->size_bytes, INT64_MAX),
	                 "mode", mode, "uid", (json_int_t)i->uid, "gid",
	                 (json_int_t)i->gid, "modified",
	                 clock_rfc3339(i->mtime_s, time), "target",
	                 *i->target ? text_json_str(i->target) : json_null());
}

TOOL(sandbox_fs_stat)
{
	struct msb_sandbox *cleanup_sandbox sandbox = NULL;
	struct msb_file_info i = MSB_FILE_INFO_INIT;
	bool follow = json_bool(args, "follow", true);
	int r = open_of(c, args, &sandbox, error);

	if (r == 0)
		r = msb_file_stat(sandbox, path_of(args),
		                  follow ? 0 : MSB_FILE_NO_FOLLOW, &i, error);
	if (r == 0)
		*ret = entry_json(&i, "path");
	return r;
}

const struct field sandbox_fs_exists_in[] = {NAME_FIELD, PATH_FIELD, {0}};
const struct field sandbox_fs_exists_out[] = {
	FIELD("exists", FIELD_BOOL, FIELD_REQUIRED, NULL),
	FIELD("type", FIELD_TEXT, FIELD_NULLABLE, NULL),
	{0},
};

TOOL(sandbox_fs_exists)
{
	struct msb_sandbox *cleanup_sandbox sandbox = NULL;
	struct msb_file_info i = MSB_FILE_INFO_INIT;
	int r = open_of(c, args, &sandbox, error);

	if (r < 0)
		return r;
	r = msb_file_stat(sandbox, path_of(args), 0, &i, error);
	if (r < 0 && r != -MSB_ERR_NOT_FOUND)
		return r;
	*ret = json_pack("{s:b, s:o}", "exists", r == 0, "type",
	                 r == 0 ? json_string(type_of(i.mode)) : json_null());
	return 0;
}

const struct field sandbox_fs_list_in[] = {
	NAME_FIELD,
	PATH_FIELD,
	FIELD_RANGE("limit", FIELD_INT, 0, 1, LIST_MAX,
                    "Entries at most (1000)"),
	FIELD("offset", FIELD_INT, 0, "Entries to leave out (0)"),
	{0},
};

const struct field sandbox_fs_list_out[] = {
	FIELD("path", FIELD_TEXT, FIELD_REQUIRED, NULL),
	FIELD("entries", FIELD_OBJECTS, FIELD_REQUIRED,
              "name, type, size, mode, uid, gid, modified, target"),
	FIELD("total", FIELD_INT, FIELD_REQUIRED, NULL),
	FIELD("truncated", FIELD_BOOL, FIELD_REQUIRED,
              "There are more: go on at offset + the number of entries"),
	{0},
};

TOOL(sandbox_fs_list)
{
	struct msb_sandbox *cleanup_sandbox sandbox = NULL;
	size_t at = (size_t)json_int(args, "offset", 0),
	       limit = (size_t)json_int(args, "limit", 1000), n, bytes = 0;
	struct msb_file_list *list = NULL;
	json_t *entries;
	int r = open_of(c, args, &sandbox, error);

	if (r == 0)
		r = msb_file_list(sandbox, path_of(args), &list, error);
	if (r < 0)
		return r;
	entries = json_array();
	n = msb_file_list_count(list);
	for (; at < n && json_array_size(entries) < limit; at++) {
		const struct msb_file_info *i = msb_file_list_get(list, at);

		bytes += strlen(i->path) + strlen(i->target) + 150;
		if (bytes > c->server->opt->max_output)
			break;
		(void)json_array_append_new(entries, entry_json(i, "name"));
	}
	*ret = json_pack("{s:s, s:o, s:I, s:b}", "path", path_of(args),
	                 "entries", entries, "total", (json_int_t)n,
	                 "truncated", at < n);
	msb_file_list_free(list);
	return 0;
}

/* ---- changes ------------------------------------------------------------- */

const struct field sandbox_fs_mkdir_in[] = {
	NAME_FIELD,
	PATH_FIELD,
	FIELD("parents", FIELD_BOOL, 0,
              "Those above it, too; fine when it exists (true)"),
	FIELD_RANGE("mode", FIELD_TEXT, 0, 3, 4, "Octal: 0755"),
	{0},
};
OK_OUT(sandbox_fs_mkdir);

TOOL(sandbox_fs_mkdir)
{
	struct msb_sandbox *cleanup_sandbox sandbox = NULL;
	bool parents = json_bool(args, "parents", true);
	uint32_t mode;
	int r = take_mode(args, &mode, error);

	if (r == 0)
		r = open_of(c, args, &sandbox, error);
	if (r == 0)
		r = msb_file_mkdir(sandbox, path_of(args), mode ? mode : 0755,
		                   parents ? MSB_FILE_RECURSIVE : 0, error);
	return done(r, ret);
}

const struct field sandbox_fs_remove_in[] = {
	NAME_FIELD,
	PATH_FIELD,
	FIELD("recursive", FIELD_BOOL, 0,
              "A folder with all in it; needs confirm"),
	FIELD("force", FIELD_BOOL, 0, "Fine when it does not exist"),
	CONFIRM_FIELD,
	{0},
};
OK_OUT(sandbox_fs_remove);

TOOL(sandbox_fs_remove)
{
	struct msb_sandbox *cleanup_sandbox sandbox = NULL;
	uint32_t flags = 0;
	int r = 0;

	if (json_bool(args, "recursive", false)) {
		flags |= MSB_FILE_RECURSIVE;
		r = tool_confirmed(args, "recursive", error);
	}
	if (json_bool(args, "force", false))
		flags |= MSB_FILE_FORCE;
	if (r == 0)
		r = open_of(c, args, &sandbox, error);
	if (r == 0)
		r = msb_file_remove(sandbox, path_of(args), flags, error);
	return done(r, ret);
}

const struct field sandbox_fs_rename_in[] = {
	NAME_FIELD,
	FROM_TO_FIELDS,
	FIELD("noReplace", FIELD_BOOL, 0, "to must not exist"),
	{0},
};
OK_OUT(sandbox_fs_rename);

TOOL(sandbox_fs_rename)
{
	struct msb_sandbox *cleanup_sandbox sandbox = NULL;
	bool no = json_bool(args, "noReplace", false);
	int r = open_of(c, args, &sandbox, error);

	if (r == 0)
		r = msb_file_rename(sandbox, json_str(args, "from", ""),
		                    json_str(args, "to", ""),
		                    no ? MSB_FILE_NO_REPLACE : 0, error);
	return done(r, ret);
}

const struct field sandbox_fs_copy_in[] = {
	NAME_FIELD,
	FROM_TO_FIELDS,
	FIELD_RANGE("toSandbox", FIELD_TEXT, 0, 1, MSB_NAME_MAX,
                    "Another sandbox that to is in"),
	{0},
};
OK_OUT(sandbox_fs_copy);

/* Of a copy's own thread, which is the call's. */
static int on_copy(void *arg, const struct msb_copy_event *e)
{
	struct mcp_call *c = arg;

	tool_progress(c, e->bytes, 0, "%llu files",
	              (unsigned long long)e->files);
	return tool_cancelled(c);
}

static struct msb_copy_opts copy_opts(struct mcp_call *c, const json_t *args)
{
	struct msb_copy_opts o = MSB_COPY_OPTS_INIT;

	o.event = on_copy;
	o.event_arg = c;
	if (json_bool(args, "contentOnly", false))
		o.flags |= MSB_COPY_CONTENT;
	return o;
}

TOOL(sandbox_fs_copy)
{
	struct msb_sandbox *cleanup_sandbox sandbox = NULL;
	struct msb_sandbox *cleanup_sandbox target = NULL;
	const char *other = json_str(args, "toSandbox", NULL),
		   *from = json_str(args, "from", ""),
		   *to = json_str(args, "to", "");
	struct msb_copy_opts o = copy_opts(c, args);
	int r = open_of(c, args, &sandbox, error);

	if (r == 0 && other)
		r = tool_open(c, other, &target, error);
	if (r == 0)
		r = other ? msb_copy_across(sandbox, from, target, to, &o,
		                            error)
		          : msb_file_copy(sandbox, from, to, error);
	return done(r, ret);
}

/* ---- the host ------------------------------------------------------------ */

#define HOST_FIELDS                                                            \
	FIELD_RANGE("hostPath", FIELD_TEXT, FIELD_REQUIRED, 1, 4096,           \
	            "A path of the host, below a folder that is allowed"),     \
		PATH_FIELD,                                                    \
		FIELD("contentOnly", FIELD_BOOL, 0,                            \
	              "Of a folder what is in it, not the folder")

const struct field sandbox_fs_copy_from_host_in[] = {
	NAME_FIELD, HOST_FIELDS, {0}};
OK_OUT(sandbox_fs_copy_from_host);
const struct field sandbox_fs_copy_to_host_in[] = {
	NAME_FIELD, HOST_FIELDS, {0}};
OK_OUT(sandbox_fs_copy_to_host);

static int copy_host(struct mcp_call *c, const json_t *args, bool in,
                     struct msb_error *error)
{
	struct msb_sandbox *cleanup_sandbox sandbox = NULL;
	struct policy_pin cleanup(policy_unpin) pin = {.fd = -1};
	struct msb_copy_opts o = copy_opts(c, args);
	int r = policy_pin(&c->server->policy, json_str(args, "hostPath", ""),
	                   &pin, error);

	if (r == 0)
		r = open_of(c, args, &sandbox, error);
	if (r < 0)
		return r;
	return in ? msb_copy_in(sandbox, pin.text, path_of(args), &o, error)
	          : msb_copy_out(sandbox, path_of(args), pin.text, &o, error);
}

TOOL(sandbox_fs_copy_from_host)
{
	return done(copy_host(c, args, true, error), ret);
}

TOOL(sandbox_fs_copy_to_host)
{
	return done(copy_host(c, args, false, error), ret);
}
