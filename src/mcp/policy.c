#include "mcp/policy.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "mcp/fail.h"

#include "base/banned.h"

int policy_open(struct policy *p, const struct mcp_options *opt,
                struct err *err)
{
	int r = 0;

	*p = (struct policy){.opt = opt};
	for (size_t i = 0; i < opt->paths.n && r == 0; i++) {
		cleanup_free char *real = realpath(opt->paths.v[i], NULL);
		struct stat st;

		if (!real || stat(real, &st) < 0)
			r = err_set(err, -errno, "--allow-path %s: %s",
			            opt->paths.v[i], strerror(errno));
		else if (!S_ISDIR(st.st_mode))
			r = err_set(err, -ENOTDIR,
			            "--allow-path %s: not a folder",
			            opt->paths.v[i]);
		else
			r = strv_add(&p->roots, real);
	}
	if (r < 0)
		policy_release(p);
	return r;
}

void policy_release(struct policy *p)
{
	strv_release(&p->roots);
}

static bool matches(const struct strv *patterns, const char *name)
{
	for (size_t i = 0; i < patterns->n; i++)
		if (fnmatch(patterns->v[i], name, 0) == 0)
			return true;
	return false;
}

bool policy_has_tool(const struct mcp_options *opt, const char *name,
                     bool read_only)
{
	if (opt->read_only && !read_only)
		return false;
	if (opt->allow_tools.n && !matches(&opt->allow_tools, name))
		return false;
	return !matches(&opt->deny_tools, name);
}

/* ---- paths --------------------------------------------------------------- */

/* The folder that @real is in, or NULL. */
static const char *root_of(const struct policy *p, const char *real)
{
	for (size_t i = 0; i < p->roots.n; i++) {
		const char *root = p->roots.v[i];
		size_t n = strcmp(root, "/") == 0 ? 0 : strlen(root);

		if (strncmp(root, real, n) == 0 &&
		    (real[n] == '/' || real[n] == '\0'))
			return root;
	}
	return NULL;
}

bool policy_names(const struct policy *p, const char *path)
{
	return p->opt->any_path || root_of(p, path);
}

/* @path by its parent, for what is not there. */
static char *real_by_parent(const char *path)
{
	cleanup_free char *copy = strdup(path), *parent = NULL;
	char *slash, *whole = NULL;
	const char *last;

	if (!copy)
		return NULL;
	slash = strrchr(copy, '/');
	last = slash ? slash + 1 : copy;
	if (!*last || strcmp(last, ".") == 0 || strcmp(last, "..") == 0) {
		errno = ENOENT;
		return NULL;
	}
	if (slash)
		*slash = '\0';
	parent = realpath(!slash ? "." : *copy ? copy : "/", NULL);
	if (!parent ||
	    asprintf(&whole, "%s/%s", strcmp(parent, "/") == 0 ? "" : parent,
	             last) < 0)
		return NULL;
	return whole;
}

static int outside(const char *path, struct msb_error *error)
{
	(void)tool_fail(error, MSB_ERR_PERMISSION,
	                "%s is not in a folder of this host that is allowed",
	                path);
	return tool_hint(error, "the person who starts msb mcp allows more "
	                        "with --allow-path DIR");
}

int policy_path(const struct policy *p, const char *path, char **ret_real,
                struct msb_error *error)
{
	cleanup_free char *real = NULL;
	struct stat st;

	if (!*path)
		return tool_fail(error, MSB_ERR_INVALID, "a path is empty");
	real = realpath(path, NULL);
	/* A link to nowhere would be followed by who creates a file there. */
	if (!real && errno == ENOENT && lstat(path, &st) < 0)
		real = real_by_parent(path);
	if (!real && errno == ENOMEM)
		return tool_no_memory(error);
	/* What is outside is not even told whether it exists. */
	if (!real && !p->opt->any_path)
		return outside(path, error);
	if (!real) {
		error->sys_errno = errno;
		return tool_fail(error, MSB_ERR_NOT_FOUND, "%s: %s", path,
		                 strerror(errno));
	}
	if (!p->opt->any_path && !root_of(p, real))
		return outside(path, error);
	*ret_real = take_ptr(real);
	return 0;
}

bool policy_refuses_links(const struct policy *p)
{
	return !p->opt->any_path;
}

int policy_pin(const struct policy *p, const char *path, struct policy_pin *ret,
               struct msb_error *error)
{
	const enum file_links links =
		policy_refuses_links(p) ? LINKS_NONE : LINKS_ANY;
	cleanup_free char *real = NULL;
	const char *last;
	char *slash;
	int r = policy_path(p, path, &real, error), fd;

	if (r < 0)
		return r;
	slash = strrchr(real, '/');
	last = slash + 1;
	*slash = '\0';
	fd = file_open(*real ? real : "/", O_PATH | O_DIRECTORY, links);
	if (fd == -ELOOP)
		return outside(path, error);
	if (fd < 0)
		return tool_fail(error, MSB_ERR_IO, "%s: %s", path,
		                 strerror(-fd));
	if ((size_t)snprintf(ret->text, sizeof(ret->text),
	                     "/proc/self/fd/%d/%s", fd,
	                     last) >= sizeof(ret->text)) {
		(void)close(fd);
		return tool_fail(error, MSB_ERR_INVALID, "%s: too long", path);
	}
	ret->fd = fd;
	return 0;
}

void policy_unpin(struct policy_pin *pin)
{
	if (pin->fd > 0)
		close_fd(&pin->fd);
}

/* ---- images -------------------------------------------------------------- */

/* A reference in parts, with docker's defaults. */
struct reference {
	char name[512]; /* registry and repository */
	char tag[160];  /* "" where none is said */
	char digest[160];
};

static bool is_registry(const char *part, size_t len)
{
	return memchr(part, '.', len) || memchr(part, ':', len) ||
	       (len == 9 && strncmp(part, "localhost", 9) == 0);
}

static bool copy_part(char *to, size_t size, const char *from, size_t len)
{
	if (len >= size)
		return false;
	memcpy(to, from, len);
	to[len] = '\0';
	return true;
}

static bool split(const char *text, struct reference *ret)
{
	const char *at = strchr(text, '@'), *slash, *colon;
	size_t len = at ? (size_t)(at - text) : strlen(text), name;
	const char *prefix = "";
	char path[400];

	*ret = (struct reference){.tag = ""};
	if (at && !copy_part(ret->digest, sizeof(ret->digest), at + 1,
	                     strlen(at + 1)))
		return false;
	colon = memrchr(text, ':', len);
	if (colon && memchr(colon, '/', len - (size_t)(colon - text)))
		colon = NULL; /* a registry's port */
	name = colon ? (size_t)(colon - text) : len;
	if (colon &&
	    !copy_part(ret->tag, sizeof(ret->tag), colon + 1, len - name - 1))
		return false;
	slash = memchr(text, '/', name);
	if (!slash)
		prefix = "docker.io/library/";
	else if (!is_registry(text, (size_t)(slash - text)))
		prefix = "docker.io/";
	if (!copy_part(path, sizeof(path), text, name))
		return false;
	return snprintf(ret->name, sizeof(ret->name), "%s%s", prefix, path) <
	       (int)sizeof(ret->name);
}

bool policy_image_matches(const char *pattern, const char *reference)
{
	struct reference p, r;

	if (strcmp(pattern, "*") == 0)
		return true;
	if (!split(pattern, &p) || !split(reference, &r))
		return false;
	if (fnmatch(p.name, r.name, FNM_PATHNAME) != 0)
		return false;
	if (*p.digest)
		return strcmp(p.digest, r.digest) == 0;
	if (!*p.tag)
		return true;
	/* What a digest names has no tag that anybody would check. */
	return !*r.digest &&
	       fnmatch(p.tag, *r.tag ? r.tag : "latest", FNM_PATHNAME) == 0;
}

static bool is_path(const char *reference)
{
	return *reference == '.' || *reference == '/';
}

/* As who opens it reads it: options follow the last colon. */
static const char *options_of(const char *reference)
{
	const char *colon = strrchr(reference, ':');

	return colon && (strncmp(colon, ":format=", 8) == 0 ||
	                 strncmp(colon, ":fstype=", 8) == 0)
	               ? colon
	               : reference + strlen(reference);
}

static int image_path(const struct policy *p, const char *reference,
                      char **ret_real, struct msb_error *error)
{
	const char *options = options_of(reference);
	cleanup_free char *path =
		strndup(reference, (size_t)(options - reference));
	cleanup_free char *real = NULL;
	char *whole;
	int r;

	if (!path)
		return tool_no_memory(error);
	r = policy_path(p, path, &real, error);
	if (r < 0 || !ret_real)
		return r;
	/* A link may lead to what reads as a path with options. */
	if (!*options && *options_of(real))
		return tool_fail(error, MSB_ERR_INVALID,
		                 "%s is no path of an image", reference);
	if (asprintf(&whole, "%s%s", real, options) < 0)
		return tool_no_memory(error);
	*ret_real = whole;
	return 0;
}

static int copy_reference(const char *reference, char **ret,
                          struct msb_error *error)
{
	char *copy = ret ? strdup(reference) : NULL;

	if (!ret)
		return 0;
	if (!copy)
		return tool_no_memory(error);
	*ret = copy;
	return 0;
}

int policy_image(const struct policy *p, const char *reference, char **ret_real,
                 struct msb_error *error)
{
	if (is_path(reference))
		return image_path(p, reference, ret_real, error);
	for (size_t i = 0; i < p->opt->images.n; i++)
		if (policy_image_matches(p->opt->images.v[i], reference))
			return copy_reference(reference, ret_real, error);
	if (!p->opt->images.n)
		return copy_reference(reference, ret_real, error);
	(void)tool_fail(error, MSB_ERR_PERMISSION,
	                "image %s is not allowed here", reference);
	return tool_hint(error, "the person who starts msb mcp allows more "
	                        "with --allow-image PATTERN");
}

int policy_secret(const struct policy *p, const char *variable,
                  struct msb_error *error)
{
	for (size_t i = 0; i < p->opt->secrets.n; i++)
		if (strcmp(p->opt->secrets.v[i], variable) == 0)
			return 0;
	(void)tool_fail(error, MSB_ERR_PERMISSION,
	                "the variable %s may not be a secret's source",
	                variable);
	return tool_hint(error,
	                 "the person who starts msb mcp allows it with "
	                 "--allow-secret %s",
	                 variable);
}
