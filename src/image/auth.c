#include "image/auth.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/fdio.h"
#include "base/json.h"
#include "base/num.h"
#include "base/spawn.h"

#include "base/banned.h"

#define CONFIG_MAX        (1u << 20)
#define TOKEN_EXPIRES_S   60 /* when the server does not say */
#define TOKEN_EXPIRES_MAX 86400
#define CHALLENGE_PARAMS  32

static void wipe(char *s)
{
	if (s)
		OPENSSL_cleanse(s, strlen(s));
	free(s);
}

void credentials_release(struct credentials *c)
{
	free(c->user);
	wipe(c->secret);
	*c = (struct credentials){0};
}

/* "https://host/v1/" and "host" are the same key. */
static bool key_is(const char *key, const char *want)
{
	size_t len;

	if (strncasecmp(key, "https://", 8) == 0)
		key += 8;
	else if (strncasecmp(key, "http://", 7) == 0)
		key += 7;
	len = strlen(key);
	while (len > 0 && key[len - 1] == '/')
		len--;
	if (len > 3 && (strncmp(key + len - 3, "/v1", 3) == 0 ||
	                strncmp(key + len - 3, "/v2", 3) == 0))
		len -= 3;
	return len == strlen(want) && strncasecmp(key, want, len) == 0;
}

static const json_t *lookup(const json_t *map, const char *want)
{
	json_t *m = (json_t *)(uintptr_t)map, *value;
	const char *key;

	json_object_foreach(m, key, value)
	{
		if (key_is(key, want))
			return value;
	}
	return NULL;
}

static bool is_hub(const char *host)
{
	return strcmp(host, "docker.io") == 0;
}

/*
 * Keys may name a repository or a part of its path (podman's form): the most
 * exact one wins.
 */
static const json_t *lookup_host(const json_t *map, const char *host,
                                 const char *repo)
{
	char key[600];
	const json_t *v;
	char *slash;

	(void)snprintf(key, sizeof(key), "%s/%s", host, repo);
	for (;;) {
		v = lookup(map, key);
		if (v)
			return v;
		slash = strrchr(key, '/');
		if (!slash)
			break;
		*slash = '\0';
	}
	return is_hub(host) ? lookup(map, "index.docker.io") : NULL;
}

static int split_auth(const char *b64, struct credentials *ret)
{
	size_t len = strlen(b64);
	unsigned char *plain = NULL;
	char *colon;
	int n, r = 0;

	if (len == 0 || len % 4 != 0 || len > CONFIG_MAX)
		return -EBADMSG;
	plain = calloc(1, len + 1);
	if (!plain)
		return -ENOMEM;
	n = EVP_DecodeBlock(plain, (const unsigned char *)b64, (int)len);
	colon = n > 0 ? strchr((char *)plain, ':') : NULL;
	if (!colon || colon == (char *)plain) {
		r = -EBADMSG;
	} else {
		*colon = '\0';
		ret->user = strdup((char *)plain);
		ret->secret = strdup(colon + 1);
		if (!ret->user || !ret->secret)
			r = -ENOMEM;
	}
	OPENSSL_cleanse(plain, len);
	free(plain);
	return r;
}

/* An entry of "auths": 1 when it holds something. */
static int from_entry(const json_t *entry, struct credentials *ret)
{
	const char *auth = json_str(entry, "auth", "");
	const char *token = json_str(entry, "identitytoken", "");
	const char *user = json_str(entry, "username", "");
	const char *password = json_str(entry, "password", "");
	int r;

	if (*auth && !*token) {
		r = split_auth(auth, ret);
		return r < 0 ? r : 1;
	}
	if (!*token && (!*user || !*password))
		return 0;
	ret->identity_token = *token != '\0';
	ret->user = strdup(user);
	ret->secret = strdup(*token ? token : password);
	return ret->user && ret->secret ? 1 : -ENOMEM;
}

static bool helper_name_ok(const char *name)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-");

	return len > 0 && len <= 64 && name[len] == '\0';
}

static int from_helper_output(const struct buf *out, const char *name,
                              struct credentials *ret, struct err *note)
{
	json_t *cleanup_json o = json_parse(out->data, out->len, name, NULL);
	const char *user = json_str(o, "Username", NULL);
	const char *secret = json_str(o, "Secret", NULL);

	if (!user || !secret)
		return err_set(note, -EBADMSG,
		               "the credential helper %s did not answer with a "
		               "name and a secret",
		               name);
	ret->identity_token = strcmp(user, "<token>") == 0;
	ret->user = strdup(user);
	ret->secret = strdup(secret);
	return ret->user && ret->secret ? 1 : -ENOMEM;
}

/*
 * docker-credential-NAME get: the server on stdin, JSON on stdout. No shell,
 * and the name cannot be a path. "Not found" is an ordinary answer.
 */
static int from_helper(const char *helper, const char *host,
                       struct credentials *ret, struct err *note)
{
	struct buf cleanup_buf out = BUF_INIT_MAX(AUTH_HELPER_MAX);
	const char *server =
		is_hub(host) ? "https://index.docker.io/v1/" : host;
	char name[96], get[] = "get";
	char *argv[] = {name, get, NULL};
	struct spawn_opts o = {
		.argv = argv,
		.input = server,
		.input_len = strlen(server),
		.output = &out,
		.timeout_ms = AUTH_HELPER_MS,
	};
	int r;

	if (!helper_name_ok(helper))
		return err_set(note, -EINVAL,
		               "docker's config names a credential helper with "
		               "characters that it may not have");
	(void)snprintf(name, sizeof(name), "docker-credential-%s", helper);
	r = spawn_run(&o, note);
	if (r > 0 && strstr(buf_str(&out), "credentials not found")) {
		*note = (struct err){0};
		r = 0;
	} else if (r > 0) {
		r = -EIO;
	} else if (r == 0) {
		r = from_helper_output(&out, name, ret, note);
	}
	if (out.data)
		OPENSSL_cleanse(out.data, out.len);
	return r;
}

static int from_config(const json_t *doc, const char *host, const char *repo,
                       struct credentials *ret, struct err *note)
{
	const json_t *helper =
		lookup_host(json_object_get(doc, "credHelpers"), host, repo);
	const char *store = json_str(doc, "credsStore", "");
	const json_t *entry;
	int r = 0;

	if (json_is_string(helper))
		return from_helper(json_string_value(helper), host, ret, note);
	if (*store)
		r = from_helper(store, host, ret, note);
	if (r != 0)
		return r;
	entry = lookup_host(json_object_get(doc, "auths"), host, repo);
	r = from_entry(entry, ret);
	if (r < 0)
		return err_set(note, r,
		               "the entry for %s in docker's config "
		               "is damaged",
		               host);
	return r;
}

static int from_file(const char *path, const char *host, const char *repo,
                     struct credentials *ret, struct err *note)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(CONFIG_MAX);
	json_t *cleanup_json doc = NULL;
	int r = file_read(AT_FDCWD, path, &b);

	if (r == -ENOENT || r == -ENOTDIR)
		return 0;
	if (r < 0)
		return err_set(note, r, "cannot read %s: %s", path,
		               strerror(-r));
	doc = json_parse(b.data, b.len, path, note);
	OPENSSL_cleanse(b.data, b.len);
	return doc ? from_config(doc, host, repo, ret, note) : -EBADMSG;
}

int auth_find(const char *host, const char *repo, struct credentials *ret,
              struct err *note)
{
	const char *home = getenv("HOME"), *dir = getenv("DOCKER_CONFIG");
	const char *run = getenv("XDG_RUNTIME_DIR");
	struct credentials c = {0};
	char path[PATH_MAX];
	int r = 0;

	if (dir && *dir)
		(void)snprintf(path, sizeof(path), "%s/config.json", dir);
	else
		(void)snprintf(path, sizeof(path), "%s/.docker/config.json",
		               home ? home : "");
	r = from_file(path, host, repo, &c, note);
	if (r <= 0 && run && *run) {
		credentials_release(&c);
		(void)snprintf(path, sizeof(path), "%s/containers/auth.json",
		               run);
		r = from_file(path, host, repo, &c, note);
	}
	if (r <= 0) {
		credentials_release(&c);
		return 0;
	}
	*ret = c;
	return 1;
}

int auth_basic(const struct credentials *c, struct buf *b)
{
	struct buf cleanup_buf plain = BUF_INIT_MAX(CONFIG_MAX);
	int r = buf_printf(&plain, "%s:%s", c->user, c->secret);
	unsigned char *out;

	if (r < 0)
		return r;
	out = malloc(plain.len * 4 / 3 + 8);
	if (!out)
		return -ENOMEM;
	(void)EVP_EncodeBlock(out, plain.data, (int)plain.len);
	r = buf_printf(b, "Basic %s", (char *)out);
	OPENSSL_cleanse(plain.data, plain.len);
	wipe((char *)out);
	return r;
}

static bool is_token_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || strchr("!#$%&'*+-.^_`|~", c);
}

static size_t token_len(const char *s)
{
	size_t n = 0;

	while (s[n] && is_token_char(s[n]))
		n++;
	return n;
}

static void skip_spaces(const char **s)
{
	while (**s == ' ' || **s == '\t')
		(*s)++;
}

/* A quoted string or a token into @out; false when malformed or too long. */
static bool get_value(const char **s, char *out, size_t out_len)
{
	const char *p = *s;
	size_t n = 0;

	if (*p != '"') {
		n = token_len(p);
		if (n >= out_len)
			return false;
		memcpy(out, p, n);
		out[n] = '\0';
		*s = p + n;
		return true;
	}
	for (p++; *p != '"'; p++) {
		if (*p == '\\')
			p++;
		if ((uint8_t)*p < ' ' || *p == 0x7f || n + 1 >= out_len)
			return false;
		out[n++] = *p;
	}
	out[n] = '\0';
	*s = p + 1;
	return true;
}

static bool get_param(const char **s, struct challenge *c)
{
	char unused[2048];
	const char *key = *s;
	size_t len = token_len(key);
	char *out = unused;
	size_t out_len = sizeof(unused);

	*s += len;
	skip_spaces(s);
	if (len == 0 || **s != '=')
		return false;
	(*s)++;
	skip_spaces(s);
	if (len == 5 && strncasecmp(key, "realm", 5) == 0) {
		out = c->realm;
		out_len = sizeof(c->realm);
	} else if (len == 7 && strncasecmp(key, "service", 7) == 0) {
		out = c->service;
		out_len = sizeof(c->service);
	} else if (len == 5 && strncasecmp(key, "scope", 5) == 0) {
		out = c->scope;
		out_len = sizeof(c->scope);
	}
	return get_value(s, out, out_len);
}

/* "Scheme a=b, c="d"" from *s on; false when it is not well-formed. */
static bool get_challenge(const char **s, struct challenge *c)
{
	size_t len = token_len(*s);

	*c = (struct challenge){0};
	if (len == 0)
		return false;
	if (len == 6 && strncasecmp(*s, "Bearer", 6) == 0)
		c->scheme = CHALLENGE_BEARER;
	if (len == 5 && strncasecmp(*s, "Basic", 5) == 0)
		c->scheme = CHALLENGE_BASIC;
	*s += len;
	for (int i = 0; i < CHALLENGE_PARAMS; i++) {
		const char *at;

		skip_spaces(s);
		at = *s;
		if (*at == '\0' || *at == '\n')
			return true;
		if (*at == ',') {
			(*s)++;
			continue;
		}
		if (!get_param(s, c)) {
			/* A token without '=': the next challenge. */
			*s = at;
			return token_len(at) > 0 && i > 0;
		}
	}
	return false;
}

bool auth_challenge(const char *text, struct challenge *ret)
{
	struct challenge c;
	bool found = false;

	while (*text) {
		if (!get_challenge(&text, &c)) {
			text += strcspn(text, "\n");
			text += *text == '\n';
			continue;
		}
		if ((c.scheme == CHALLENGE_BEARER && c.realm[0]) ||
		    (c.scheme == CHALLENGE_BASIC && !found)) {
			*ret = c;
			found = true;
		}
		if (c.scheme == CHALLENGE_BEARER && found)
			return true;
		text += *text == '\n';
	}
	return found;
}

static void add_escaped(struct buf *b, const char *name, const char *value)
{
	(void)buf_printf(b, "%s=", name);
	for (; *value; value++)
		if ((*value >= 'a' && *value <= 'z') ||
		    (*value >= 'A' && *value <= 'Z') ||
		    (*value >= '0' && *value <= '9') || strchr("-._~", *value))
			(void)buf_addc(b, *value);
		else
			(void)buf_printf(b, "%%%02X", (uint8_t)*value);
}

int auth_token_url(const struct challenge *c, struct buf *b)
{
	(void)buf_printf(b, "%s%c", c->realm,
	                 strchr(c->realm, '?') ? '&' : '?');
	if (c->service[0]) {
		add_escaped(b, "service", c->service);
		(void)buf_addc(b, '&');
	}
	add_escaped(b, "scope", c->scope);
	return buf_ok(b) ? 0 : -ENOMEM;
}

int auth_token_form(const struct challenge *c, const struct credentials *cred,
                    struct buf *b)
{
	(void)buf_adds(b, "grant_type=refresh_token&client_id=msb&");
	add_escaped(b, "service", c->service);
	(void)buf_addc(b, '&');
	add_escaped(b, "scope", c->scope);
	(void)buf_addc(b, '&');
	add_escaped(b, "refresh_token", cred->secret);
	return buf_ok(b) ? 0 : -ENOMEM;
}

int auth_token(const void *data, size_t len, struct buf *b,
               uint64_t *ret_expires_s, struct err *err)
{
	json_t *cleanup_json o = json_parse(data, len, "the token", err);
	const char *token = json_str(o, "token", "");
	int64_t expires = json_int(o, "expires_in", TOKEN_EXPIRES_S);

	if (!o)
		return -EBADMSG;
	if (!*token)
		token = json_str(o, "access_token", "");
	if (!*token)
		return err_set(err, -EBADMSG,
		               "the token server's answer holds no token");
	*ret_expires_s = (uint64_t)MIN(MAX(expires, 0), TOKEN_EXPIRES_MAX);
	return buf_printf(b, "Bearer %s", token) < 0
	               ? err_set(err, -E2BIG, "the token is too long")
	               : 0;
}
