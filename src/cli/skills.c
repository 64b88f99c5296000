#include "cli/skills.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/fdio.h"
#include "base/json.h"
#include "base/num.h"
#include "base/strv.h"

#include "base/banned.h"

#define RECORD     ".msb-skill.json"
#define RECORD_MAX (64u << 10)
#define SCRIPTS    "scripts/"

/* docs/skills.md says where each of them documents this. */
const struct skill_agent skill_agents[SKILL_AGENTS] = {
	{
         "claude-code",				     {{".claude/skills", {".claude", "CLAUDE.md"}},
                 {".claude/skills", {".claude"}}},
         "CLAUDE_CONFIG_DIR", },
	{
         "cursor",						{{".cursor/skills", {".cursor"}},
                 {".cursor/skills", {".cursor"}}},
         NULL, },
	{
         "codex", {{".agents/skills", {".codex"}},
                 {".agents/skills", {".codex"}}},
         NULL, },
	{
         "gemini-cli",						  {{".gemini/skills", {".gemini", "GEMINI.md"}},
                 {".gemini/skills", {".gemini"}}},
         NULL, },
	{
         "copilot",					     {{".github/skills",
                  {".github/skills", ".github/copilot-instructions.md"}},
                 {".copilot/skills", {".copilot"}}},
         NULL, },
	{
         "agents",				      {{".agents/skills", {".agents"}},
                 {".agents/skills", {".agents"}}},
         NULL, },
};

/* ---- places -------------------------------------------------------------- */

char *skill_base(enum skill_scope scope, struct err *err)
{
	const char *home = getenv("HOME");
	char *path;

	if (scope == SKILL_GLOBAL && (!home || *home != '/')) {
		err_set(err, -EINVAL, "HOME does not say where your folder is");
		return NULL;
	}
	path = scope == SKILL_GLOBAL ? strdup(home) : getcwd(NULL, 0);
	if (!path)
		err_set(err, -errno, "cannot tell the folder: %s",
		        strerror(errno));
	return path;
}

/* "CLAUDE_CONFIG_DIR/skills" or "$HOME/.claude/skills", with @tail behind. */
static char *below(const struct skill_agent *a, enum skill_scope scope,
                   const char *base, const char *folder, const char *tail)
{
	const char *set = scope == SKILL_GLOBAL && a->env ? getenv(a->env) : "";
	char *path = NULL;
	int n;

	if (set && *set == '/') /* the parent is named, not ".claude" */
		n = asprintf(&path, "%s%s%s", set,
		             folder + strcspn(folder, "/"), tail);
	else
		n = asprintf(&path, "%s/%s%s", strcmp(base, "/") ? base : "",
		             folder, tail);
	return n < 0 ? NULL : path;
}

char *skill_place(const struct skill_agent *a, enum skill_scope scope,
                  const char *base)
{
	return below(a, scope, base, a->at[scope].folder, "/" SKILL_NAME);
}

bool skill_agent_used(const struct skill_agent *a, enum skill_scope scope,
                      const char *base)
{
	for (const char *const *m = a->at[scope].marks; *m; m++) {
		cleanup_free char *path = below(a, scope, base, *m, "");

		if (path && access(path, F_OK) == 0)
			return true;
	}
	return false;
}

/* ---- one file ------------------------------------------------------------ */

/*
 * The folder of @path in @dir_fd, and its name there. A project may come from
 * anybody: a link would lead our files out of it, so none is followed.
 */
static int open_folder(int dir_fd, const char *path, bool make,
                       const char **ret_name)
{
	const char *slash = strchr(path, '/');
	char folder[NAME_MAX + 1];
	int fd;

	*ret_name = slash ? slash + 1 : path;
	if (!slash)
		return fcntl(dir_fd, F_DUPFD_CLOEXEC, 0);
	if ((size_t)(slash - path) >= sizeof(folder))
		return -ENAMETOOLONG;
	(void)snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path),
	               path);
	if (make && mkdirat(dir_fd, folder, 0755) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(dir_fd, folder,
	            O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* 0 and its digest, -ENOENT, or -EBADF for what is no file. */
static int digest_at(int dir_fd, const char *path, struct digest *ret)
{
	const char *name;
	cleanup_close int folder = open_folder(dir_fd, path, false, &name);
	cleanup_close int fd = -1;
	struct stat st;

	if (folder < 0)
		return folder == -ENOENT ? -ENOENT : -EBADF;
	fd = openat(folder, name,
	            O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ENOENT : -EBADF;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -EBADF;
	return digest_of_fd(fd, ret) < 0 ? -EBADF : 0;
}

static int write_at(int dir_fd, const struct skill_file *f)
{
	const char *name;
	cleanup_close int folder = open_folder(dir_fd, f->path, true, &name);
	bool program = strncmp(f->path, SCRIPTS, strlen(SCRIPTS)) == 0;

	if (folder < 0)
		return folder;
	return file_write_atomic(folder, name, f->data, f->len,
	                         program ? 0755 : 0644);
}

static int remove_at(int dir_fd, const char *path)
{
	const char *name;
	cleanup_close int folder = open_folder(dir_fd, path, false, &name);

	if (folder < 0)
		return folder == -ENOENT ? 0 : folder;
	if (unlinkat(folder, name, 0) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

/* ---- all of it ----------------------------------------------------------- */

struct installed_skill {
	int dir_fd;     /* -1: there is none */
	json_t *record; /* {"files": {PATH: SHA-256}}; NULL: none to believe */
};

static void release(struct installed_skill *s)
{
	close_fd(&s->dir_fd);
	json_decref(s->record);
}
#define cleanup_installed cleanup(release)

static const json_t *recorded(const struct installed_skill *s)
{
	return json_object_get(s->record, "files");
}

/* Only paths of the form that we write: a record is anybody's to write. */
static bool is_ours(const char *path)
{
	const char *slash = strchr(path, '/');

	return *path && *path != '.' && *path != '/' &&
	       (!slash ||
	        (slash[1] && slash[1] != '.' && !strchr(slash + 1, '/')));
}

static int open_skill(const char *place, struct installed_skill *s,
                      struct err *err)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(RECORD_MAX);
	cleanup_close int fd = -1;
	struct stat st;
	int r;

	s->dir_fd =
		open(place, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	r = s->dir_fd < 0 ? -errno : 0;
	if (r < 0 && lstat(place, &st) < 0) /* a parent may be a file, too */
		return errno == ENOENT || errno == ENOTDIR
		               ? 0
		               : err_set(err, -errno, "cannot open %s: %s",
		                         place, strerror(errno));
	if (r == -ELOOP || r == -ENOTDIR) {
		err_set(err, -ENOTDIR, "%s is not a folder", place);
		err_hint(err, "links are not followed; remove it first");
		return -ENOTDIR;
	}
	if (r < 0)
		return err_set(err, r, "cannot open %s: %s", place,
		               strerror(-r));
	fd = openat(s->dir_fd, RECORD,
	            O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0 && fd_read_all(fd, &b) == 0)
		s->record = json_parse(b.data, b.len, RECORD, NULL);
	return 0;
}

static const struct skill_file *find_file(const char *path)
{
	for (const struct skill_file *f = skill_files; f->path; f++)
		if (strcmp(f->path, path) == 0)
			return f;
	return NULL;
}

/* SKILL_CURRENT, SKILL_OUTDATED (also: it is not there), or SKILL_CHANGED. */
static enum skill_state look_at(const struct installed_skill *s,
                                const char *path)
{
	const struct skill_file *f = find_file(path);
	struct digest want, then, now;
	const char *hex = json_str(recorded(s), path, "");
	int r = digest_at(s->dir_fd, path, &now);

	if (r == -ENOENT)
		return f ? SKILL_OUTDATED : SKILL_CURRENT;
	if (r < 0)
		return SKILL_CHANGED;
	if (f)
		digest_of(f->data, f->len, &want);
	if (f && digest_equal(&want, &now))
		return SKILL_CURRENT;
	return digest_parse_hex(hex, &then) && digest_equal(&then, &now)
	               ? SKILL_OUTDATED
	               : SKILL_CHANGED;
}

/* Every path of this version and of the one on record; 0 or -ENOMEM. */
static int all_paths(const struct installed_skill *s, struct strv *ret)
{
	const char *path;
	json_t *hex;
	int r = 0;

	for (const struct skill_file *f = skill_files; f->path && r == 0; f++)
		r = strv_add(ret, f->path);
	json_object_foreach((json_t *)recorded(s), path,
	                    hex) if (r == 0 && is_ours(path) &&
	                             !find_file(path)) r = strv_add(ret, path);
	return r;
}

static int look(const struct installed_skill *s, const struct strv *paths,
                struct strv *changed)
{
	enum skill_state all = SKILL_CURRENT;

	if (s->dir_fd < 0)
		return SKILL_ABSENT;
	for (size_t i = 0; i < paths->n; i++) {
		enum skill_state one = look_at(s, paths->v[i]);

		all = MAX(all, one);
		if (one == SKILL_CHANGED && strv_add(changed, paths->v[i]) < 0)
			return -ENOMEM;
	}
	return (int)all;
}

/* Open it and say what it is; with @force nothing counts as changed. */
static int begin(const char *place, bool force, struct installed_skill *s,
                 struct strv *paths, struct err *err)
{
	struct strv cleanup_strv changed = {0};
	int r = open_skill(place, s, err);

	if (r < 0)
		return r;
	r = all_paths(s, paths);
	if (r == 0)
		r = look(s, paths, &changed);
	if (r < 0)
		return err_set(err, r, "out of memory");
	if (r == SKILL_CHANGED && !force) {
		err_set(err, -EEXIST, "%s/%s is not as msb put it there", place,
		        changed.v[0]);
		err_hint(err, "--force does not mind");
		return -EEXIST;
	}
	return r;
}

int skill_check(const char *place, bool force, struct err *err)
{
	struct installed_skill cleanup_installed s = {.dir_fd = -1};
	struct strv cleanup_strv paths = {0};

	return begin(place, force, &s, &paths, err);
}

int skill_look(const char *place, struct err *err)
{
	return skill_check(place, true, err);
}

/* ---- putting it there ---------------------------------------------------- */

static int write_record(int dir_fd)
{
	json_t *cleanup_json j =
		json_pack("{s:s, s:{}}", "version", MSB_VERSION, "files");
	cleanup_free char *text = NULL;

	for (const struct skill_file *f = skill_files; f->path; f++) {
		char hex[DIGEST_HEX_LEN + 1];
		struct digest d;

		digest_of(f->data, f->len, &d);
		if (json_object_set_new(json_object_get(j, "files"), f->path,
		                        json_string(digest_hex(&d, hex))) < 0)
			return -ENOMEM;
	}
	text = json_text(j, JSON_INDENT(1) | JSON_SORT_KEYS);
	if (!text)
		return -ENOMEM;
	return file_write_atomic(dir_fd, RECORD, text, strlen(text), 0644);
}

static int make_folder(const char *place, struct installed_skill *s,
                       struct err *err)
{
	int r = dir_make(AT_FDCWD, place, 0755);

	if (r < 0)
		return err_set(err, r, "cannot make %s: %s", place,
		               strerror(-r));
	r = open_skill(place, s, err);
	return r < 0 || s->dir_fd >= 0
	               ? r
	               : err_set(err, -ENOENT, "%s went away", place);
}

int skill_install(const char *place, bool force, struct err *err)
{
	struct installed_skill cleanup_installed s = {.dir_fd = -1};
	struct strv cleanup_strv paths = {0};
	int found = begin(place, force, &s, &paths, err), r = 0;

	if (found < 0 || found == SKILL_CURRENT)
		return found;
	if (found == SKILL_ABSENT)
		r = make_folder(place, &s, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < paths.n; i++) {
		const struct skill_file *f = find_file(paths.v[i]);

		r = f ? write_at(s.dir_fd, f) : remove_at(s.dir_fd, paths.v[i]);
		if (r < 0)
			return err_set(err, r, "cannot write %s/%s: %s", place,
			               paths.v[i], strerror(-r));
	}
	r = write_record(s.dir_fd);
	return r < 0 ? err_set(err, r, "cannot write %s/" RECORD ": %s", place,
	                       strerror(-r))
	             : found;
}

/* ---- and away ------------------------------------------------------------ */

/* Folders that are empty now; those that are not hold what is not ours. */
static void remove_folders(int dir_fd, const struct strv *paths)
{
	for (size_t i = 0; i < paths->n; i++) {
		char *slash = strchr(paths->v[i], '/');

		if (!slash)
			continue;
		*slash = '\0';
		(void)unlinkat(dir_fd, paths->v[i], AT_REMOVEDIR);
	}
}

int skill_remove(const char *place, bool force, struct err *err)
{
	struct installed_skill cleanup_installed s = {.dir_fd = -1};
	struct strv cleanup_strv paths = {0};
	int found = begin(place, force, &s, &paths, err);

	if (found <= SKILL_ABSENT)
		return found;
	for (size_t i = 0; i < paths.n; i++) {
		int r = remove_at(s.dir_fd, paths.v[i]);

		if (r < 0)
			return err_set(err, r, "cannot remove %s/%s: %s", place,
			               paths.v[i], strerror(-r));
	}
	(void)unlinkat(s.dir_fd, RECORD, 0);
	remove_folders(s.dir_fd, &paths);
	if (rmdir(place) < 0 && errno != ENOTEMPTY && errno != EEXIST)
		return err_set(err, -errno, "cannot remove %s: %s", place,
		               strerror(errno));
	return found;
}
