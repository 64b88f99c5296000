#include "image/ref.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/escape.h"
#include "base/num.h"

#include "base/banned.h"

#define REF_SHOWN 80 /* bytes of a bad reference that an error repeats */

static bool is_lower_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_alnum(char c)
{
	return is_lower_alnum(c) || (c >= 'A' && c <= 'Z');
}

static int bad(struct err *err, const char *text, const char *why)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(4 * REF_SHOWN + 8);
	size_t len = strnlen(text, REF_SHOWN);

	(void)escape_text(&b, text, len, 0);
	err_set(err, -EINVAL, "bad image reference \"%s%s\": %s", buf_str(&b),
	        text[len] ? "..." : "", why);
	err_hint(err, "a reference looks like python:3.12 or "
	              "registry.example.com:5000/team/app@sha256:...");
	return -EINVAL;
}

/* Letters, digits and inner '-' in each part; parts joined by '.'. */
static bool host_name_ok(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		bool edge = i == 0 || i == len - 1 || s[i - 1] == '.' ||
		            s[i + 1] == '.';

		if (!is_alnum(s[i]) && (edge || (s[i] != '-' && s[i] != '.')))
			return false;
	}
	return len > 0;
}

static bool host_v6_ok(const char *s, size_t len)
{
	if (len < 4 || len > 48 || s[0] != '[' || s[len - 1] != ']')
		return false;
	for (size_t i = 1; i < len - 1; i++)
		if (s[i] != ':' && s[i] != '.' && !isxdigit((uint8_t)s[i]))
			return false;
	return true;
}

static bool port_ok(const char *s, size_t len)
{
	char text[8];
	uint64_t port;

	if (len == 0 || len > 5)
		return false;
	memcpy(text, s, len);
	text[len] = '\0';
	return num_parse_u64(text, 65535, &port) && port > 0;
}

static bool host_ok(const char *s, size_t len)
{
	const char *from = s[0] == '[' ? memchr(s, ']', len) : s;
	const char *colon =
		from ? memchr(from, ':', len - (size_t)(from - s)) : NULL;
	size_t name = colon ? (size_t)(colon - s) : len;

	if (colon && !port_ok(colon + 1, len - name - 1))
		return false;
	return s[0] == '[' ? host_v6_ok(s, name) : host_name_ok(s, name);
}

/* Runs of [a-z0-9] joined by one '.', one or two '_', or any number of '-'. */
static bool part_ok(const char *s, size_t len)
{
	size_t i = 0;

	for (;;) {
		size_t start = i;

		while (i < len && is_lower_alnum(s[i]))
			i++;
		if (i == start)
			return false;
		if (i == len)
			return true;
		start = i;
		while (i < len && s[i] == s[start] && strchr("._-", s[i]))
			i++;
		if (i == start || (s[start] == '.' && i - start > 1) ||
		    (s[start] == '_' && i - start > 2))
			return false;
	}
}

static bool repo_ok(const char *repo)
{
	const char *slash;

	while ((slash = strchr(repo, '/'))) {
		if (!part_ok(repo, (size_t)(slash - repo)))
			return false;
		repo = slash + 1;
	}
	return part_ok(repo, strlen(repo));
}

static bool tag_ok(const char *tag, size_t len)
{
	if (len == 0 || len > REF_TAG_MAX || tag[0] == '.' || tag[0] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_alnum(tag[i]) && !strchr("_.-", tag[i]))
			return false;
	return true;
}

static bool first_part_is_host(const char *s, size_t len)
{
	if (len == 9 && memcmp(s, "localhost", 9) == 0)
		return true;
	for (size_t i = 0; i < len; i++)
		if (s[i] == '.' || s[i] == ':' || (s[i] >= 'A' && s[i] <= 'Z'))
			return true;
	return false;
}

static bool is_docker_hub(const char *host)
{
	return strcmp(host, "docker.io") == 0 ||
	       strcmp(host, "index.docker.io") == 0 ||
	       strcmp(host, "registry-1.docker.io") == 0;
}

/*
 * Lower case, as hosts go; but not a lone word, which only its upper-case
 * letters tell from the first part of a repository.
 */
static void set_host(struct ref *r, const char *host, size_t len)
{
	bool word = !memchr(host, '.', len) && !memchr(host, ':', len);

	for (size_t i = 0; i < len; i++)
		r->host[i] = word ? host[i] : (char)tolower((uint8_t)host[i]);
	r->host[len] = '\0';
}

/* @name is the reference without its tag and digest. */
static const char *split_name(const char *name, size_t len, struct ref *r)
{
	const char *slash = memchr(name, '/', len), *prefix = "";
	size_t host = slash ? (size_t)(slash - name) : 0;

	if (len > REF_NAME_MAX)
		return "the name is longer than 255 characters";
	(void)snprintf(r->host, sizeof(r->host), "docker.io");
	if (slash && first_part_is_host(name, host)) {
		if (!host_ok(name, host))
			return "the host is not a valid one";
		set_host(r, name, host);
		name += host + 1;
		len -= host + 1;
	}
	if (is_docker_hub(r->host)) {
		(void)snprintf(r->host, sizeof(r->host), "docker.io");
		prefix = memchr(name, '/', len) ? "" : "library/";
	}
	/* The normal form counts, so that it can be read back. */
	if ((size_t)snprintf(r->repo, sizeof(r->repo), "%s%.*s", prefix,
	                     (int)len, name) >= sizeof(r->repo) ||
	    strlen(r->host) + 1 + strlen(r->repo) > REF_NAME_MAX)
		return "the name is longer than 255 characters";
	if (!repo_ok(r->repo))
		return "the repository may hold lower-case letters, digits and "
		       "single . _ - between them";
	return NULL;
}

/* Returns what is wrong, or NULL. */
static const char *parse(const char *text, struct ref *r)
{
	const char *at = strchr(text, '@'), *colon = NULL;
	size_t len = at ? (size_t)(at - text) : strlen(text);

	if (len == 0)
		return "it is empty";
	if (at && !digest_parse(at + 1, &r->digest))
		return "the digest must be sha256: and 64 lower-case hex "
		       "digits";
	r->has_digest = at != NULL;
	for (size_t i = len; i > 0 && text[i - 1] != '/'; i--)
		if (text[i - 1] == ':')
			colon = text + i - 1;
	if (colon) {
		size_t tag = len - (size_t)(colon + 1 - text);

		if (!tag_ok(colon + 1, tag))
			return "the tag may hold letters, digits, _ . - (at "
			       "most 128, not . or - first)";
		memcpy(r->tag, colon + 1, tag);
		len = (size_t)(colon - text);
	} else if (!at) {
		(void)snprintf(r->tag, sizeof(r->tag), "latest");
	}
	return split_name(text, len, r);
}

int ref_parse(const char *text, struct ref *ret, struct err *err)
{
	struct ref r = {0};
	const char *why = parse(text, &r);

	if (why)
		return bad(err, text, why);
	*ret = r;
	return 0;
}

int ref_text(const struct ref *r, struct buf *b)
{
	char digest[DIGEST_TEXT_LEN + 1];

	(void)buf_printf(b, "%s/%s", r->host, r->repo);
	if (r->tag[0])
		(void)buf_printf(b, ":%s", r->tag);
	if (r->has_digest)
		(void)buf_printf(b, "@%s", digest_text(&r->digest, digest));
	return buf_ok(b) ? 0 : -ENOMEM;
}

int ref_path(const struct ref *r, struct buf *b)
{
	char hex[DIGEST_HEX_LEN + 1];

	(void)buf_printf(b, "refs/%s/%s/", r->host, r->repo);
	if (r->tag[0])
		(void)buf_printf(b, "_%s", r->tag);
	if (r->has_digest)
		(void)buf_printf(b, "@sha256-%s", digest_hex(&r->digest, hex));
	(void)buf_adds(b, ".json");
	return buf_ok(b) ? 0 : -ENOMEM;
}

int ref_wanted(const struct ref *r, struct buf *b)
{
	char digest[DIGEST_TEXT_LEN + 1];

	return buf_adds(b, r->has_digest ? digest_text(&r->digest, digest)
	                                 : r->tag);
}

bool ref_host_is_loopback(const char *host)
{
	size_t len =
		host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
	size_t i = 4;

	if (len == 9 && strncasecmp(host, "localhost", 9) == 0)
		return true;
	if (len > 10 && strncasecmp(host + len - 10, ".localhost", 10) == 0)
		return true;
	if (len == 5 && strncmp(host, "[::1]", 5) == 0)
		return true;
	if (strncmp(host, "127.", 4) != 0)
		return false;
	while (i < len &&
	       (host[i] == '.' || (host[i] >= '0' && host[i] <= '9')))
		i++;
	return i == len;
}
