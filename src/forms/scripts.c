#include "forms/scripts.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "base/num.h"
#include "microsandbox.h"

#include "base/banned.h"

bool scripts_name_ok(const char *name, size_t len)
{
	static const char inside[] = "abcdefghijklmnopqrstuvwxyz"
				     "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "0123456789._-";

	return len && len <= MSB_NAME_MAX && strspn(name, inside) >= len &&
	       !strchr("._-", *name);
}

static char decoded_char(char c)
{
	static const char from[] = "ntr\\\"'", to[] = "\n\t\r\\\"'";
	const char *at = c ? strchr(from, c) : NULL;

	return at ? to[at - from] : '\0';
}

/* A backslash before anything else stays: regular expressions have many. */
static void decode(const char *text, struct buf *out)
{
	for (; *text; text++) {
		char c = *text == '\\' ? decoded_char(text[1]) : '\0';

		(void)buf_addc(out, c ? c : *text);
		text += c != '\0';
	}
}

int scripts_add(struct strv *to, const char *name, size_t name_len,
                const char *body, const char *shell)
{
	struct buf cleanup_buf b = BUF_INIT;
	size_t len = strlen(body);

	(void)buf_add(&b, name, name_len);
	(void)buf_addc(&b, '=');
	if (shell && strncmp(body, "#!", 2) != 0)
		(void)buf_printf(&b, "#!%s%s\n",
		                 *shell == '/' ? "" : "/usr/bin/env ", shell);
	(void)buf_adds(&b, body);
	if (shell && len && body[len - 1] != '\n')
		(void)buf_addc(&b, '\n');
	return buf_ok(&b) ? strv_env_set(to, buf_str(&b)) : -ENOMEM;
}

static int read_script(const char *path, struct buf *b, struct err *err)
{
	/* A fifo must not stop us. */
	cleanup_close int fd =
		open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	int r = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		r = -errno;
	else
		r = S_ISREG(st.st_mode) ? fd_read_all(fd, b) : -EISDIR;
	if (r == -E2BIG)
		return err_set(err, r, "%s: larger than %u KiB", path,
		               MSB_SCRIPTS_MAX >> 10);
	if (r < 0)
		return err_set(err, r, "--script-path: cannot read '%s': %s",
		               path,
		               r == -EISDIR ? "not a file" : strerror(-r));
	if (b->len && memchr(b->data, '\0', b->len))
		return err_set(err, -EINVAL, "%s: not a script: it has a NUL",
		               path);
	return 0;
}

/* One kind of option. */
struct kind {
	const char *option, *form;
	char separator;
	int (*body)(const char *text, struct buf *b, struct err *err);
};

static int decoded_body(const char *text, struct buf *b, struct err *err)
{
	(void)err;
	decode(text, b);
	return 0;
}

static int raw_body(const char *text, struct buf *b, struct err *err)
{
	(void)err;
	return buf_adds(b, text);
}

static const struct kind kinds[] = {
	{"script",      "NAME=BODY", '=', decoded_body},
	{"script-raw",  "NAME=BODY", '=', raw_body    },
	{"script-path", "NAME:PATH", ':', read_script },
};

static const char *shell_of(const struct conf *c)
{
	return c->shell ? c->shell : "/bin/sh";
}

static int put_one(struct conf *c, const struct kind *k, const char *text,
                   struct strv *names, struct err *err)
{
	struct buf cleanup_buf body = BUF_INIT_MAX(MSB_SCRIPTS_MAX);
	size_t len = strcspn(text, k->separator == '=' ? "=" : ":");
	const char *shell = NULL;
	int r;

	if (text[len] != k->separator || !scripts_name_ok(text, len))
		return err_set(err, -EINVAL, "--%s: '%.80s' is not %s",
		               k->option, text, k->form);
	for (size_t i = 0; i < names->n; i++)
		if (strlen(names->v[i]) == len &&
		    strncmp(names->v[i], text, len) == 0)
			return err_set(err, -EINVAL,
			               "--%s: script '%s' is given twice",
			               k->option, names->v[i]);
	r = k->body(text + len + 1, &body, err);
	if (r < 0)
		return r;
	if (body.failed)
		return err_set(err, -E2BIG, "--%s: '%.*s' is too large",
		               k->option, (int)len, text);
	if (strv_addn(names, text, len) < 0)
		return -ENOMEM;
	if (k->body != raw_body)
		shell = shell_of(c);
	return scripts_add(&c->scripts, text, len, buf_str(&body), shell);
}

/* Those of files came without: only now it is known what the shell is. */
static int finish(struct conf *c)
{
	struct strv cleanup_strv done = {0};
	int r = 0;

	for (size_t i = 0; i < c->scripts.n && r == 0; i++) {
		const char *text = c->scripts.v[i];
		size_t len = strcspn(text, "=");

		r = scripts_add(&done, text, len, text + len + 1, shell_of(c));
	}
	if (r == 0) {
		struct strv old = c->scripts;

		c->scripts = done;
		done = old;
	}
	return r;
}

int scripts_put(struct conf *c, const struct strv *decoded,
                const struct strv *raw, const struct strv *paths,
                struct err *err)
{
	const struct strv *const given[] = {decoded, raw, paths};
	struct strv cleanup_strv names = {0};

	if (finish(c) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
		for (size_t i = 0; i < given[k]->n; i++) {
			int r = put_one(c, &kinds[k], given[k]->v[i], &names,
			                err);

			if (r == -ENOMEM)
				err_set(err, r, "out of memory");
			if (r < 0)
				return r;
		}
	return 0;
}
