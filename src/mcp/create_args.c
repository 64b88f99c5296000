/* From the arguments of a call to a configuration as a file has it. */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/num.h"
#include "mcp/create.h"
#include "mcp/fail.h"

#include "base/banned.h"

/* ---- before the check ---------------------------------------------------- */

/* A value that nobody said yet; else what was said stays. */
static void adopt(json_t *args, const char *key, json_t *value)
{
	if (value && !json_object_get(args, key))
		(void)json_object_set(args, key, value);
}

static void flatten(json_t *args, const char *group)
{
	json_t *o = json_object_get(args, group), *value;
	const char *key;

	if (!json_is_object(o))
		return;
	json_incref(o);
	(void)json_object_del(args, group);
	json_object_foreach(o, key, value) adopt(args, key, value);
	json_decref(o);
}

static void rename_key(json_t *o, const char *from, const char *to)
{
	json_t *value = json_object_get(o, from);

	if (!value)
		return;
	adopt(o, to, value);
	(void)json_object_del(o, from);
}

/* {oci: {reference, pullPolicy}}, {bind: {path}}, {disk: {path, fstype}} */
static void flatten_rootfs(json_t *args)
{
	json_t *o = json_object_get(args, "rootfs"), *oci, *path;
	const json_t *disk = json_object_get(o, "disk");
	const char *fstype = json_str(disk, "fstype", NULL);

	if (!json_is_object(o))
		return;
	oci = json_object_get(o, "oci");
	path = json_object_get(json_object_get(o, "bind"), "path");
	if (!path)
		path = json_object_get(disk, "path");
	if (fstype && json_is_string(path)) {
		json_t *text = json_sprintf("%s:fstype=%s",
		                            json_string_value(path), fstype);

		adopt(args, "image", text);
		json_decref(text);
	}
	adopt(args, "image", json_object_get(oci, "reference"));
	adopt(args, "pullPolicy", json_object_get(oci, "pullPolicy"));
	adopt(args, "diskMib", json_object_get(oci, "upperSizeMib"));
	adopt(args, "image", path);
	(void)json_object_del(args, "rootfs");
}

static int refuse_value(struct msb_error *error)
{
	(void)tool_fail(
		error, MSB_ERR_INVALID,
		"a secret's value is never part of a call: name a variable "
		"of msb mcp's environment instead");
	return tool_hint(
		error, "{\"env\": \"API_KEY\", \"hosts\": "
		       "[\"api.example.com\"], \"source\": \"API_KEY\"}, with "
		       "msb mcp started with --allow-secret API_KEY");
}

int create_prepare_secrets(json_t *args, struct msb_error *error)
{
	json_t *list = json_object_get(args, "secrets"), *one;
	size_t i;

	json_array_foreach(list, i, one)
	{
		if (json_object_get(one, "value"))
			return refuse_value(error);
		rename_key(one, "envVar", "env");
		rename_key(one, "valueEnv", "source");
		rename_key(one, "allowedHost", "hosts");
	}
	return 0;
}

int create_prepare(struct mcp_call *c, json_t *args, struct msb_error *error)
{
	static const char *const groups[] = {"resources", "process",
	                                     "lifecycle"};

	(void)c;
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		flatten(args, groups[i]);
	flatten_rootfs(args);
	rename_key(args, "volumes", "mounts");
	return create_prepare_secrets(args, error);
}

/* ---- as a file has it ---------------------------------------------------- */

/* Members that only get another name. */
struct renamed {
	const char *arg, *key;
};

static void copy_all(json_t *to, const json_t *from, const struct renamed *t)
{
	for (; t->arg; t++) {
		json_t *value = json_object_get(from, t->arg);

		if (value)
			(void)json_object_set(to, t->key, value);
	}
}

/* "512M": a bare number is MiB, but says less. */
static void copy_mib(json_t *to, const char *key, const json_t *from,
                     const char *arg)
{
	int64_t mib = json_int(from, arg, 0);

	if (mib)
		(void)json_object_set_new(
			to, key, json_sprintf("%lldM", (long long)mib));
}

static json_t *mount_conf(const json_t *m, struct msb_error *error)
{
	static const struct renamed same[] = {
		{"guestPath", "target"  },
                {"readonly",  "readonly"},
		{"noexec",    "noexec"  },
                {"nosuid",    "nosuid"  },
		{"nodev",     "nodev"   },
                {"format",    "format"  },
		{"fstype",    "fstype"  },
                {"uid",       "uid"     },
		{"gid",       "gid"     },
                {NULL,        NULL      },
	};
	const char *kind = json_str(m, "kind", NULL),
		   *host = json_str(m, "hostPath", NULL),
		   *name = json_str(m, "name", NULL), *source;
	json_t *o = json_object(), *memory;

	if (!kind)
		kind = name ? "named" : "bind";
	copy_all(o, m, same);
	copy_mib(o, "quota", m, "quotaMib");
	if (strcmp(kind, "tmpfs") == 0) {
		memory = json_object();
		copy_mib(memory, "size", m, "sizeMib");
		(void)json_object_set_new(o, "tmpfs", memory);
		return o;
	}
	copy_mib(o, "size", m, "sizeMib");
	source = strcmp(kind, "named") == 0 ? name : host;
	if (!source) {
		json_decref(o);
		(void)tool_fail(error, MSB_ERR_INVALID,
		                "a mount of kind %s needs %s", kind,
		                source == name ? "name" : "hostPath");
		return NULL;
	}
	(void)json_object_set_new(o, kind, json_string(source));
	if (json_object_get(m, "volumeKind"))
		(void)json_object_set(o, "kind",
		                      json_object_get(m, "volumeKind"));
	return o;
}

static json_t *patch_conf(const json_t *p)
{
	static const struct renamed same[] = {
		{"path",          "path"          },
		{"content",       "content"       },
		{"contentBase64", "content_base64"},
		{"hostPath",      "src"           },
		{"target",        "target"        },
		{"mode",          "mode"          },
		{"uid",           "uid"           },
		{"gid",           "gid"           },
		{"replace",       "replace"       },
		{NULL,            NULL            },
	};
	const char *kind = json_str(p, "kind", "");
	json_t *o = json_object();

	copy_all(o, p, same);
	if (strncmp(kind, "copy_", 5) == 0)
		rename_key(o, "path", "dst");
	if (strcmp(kind, "symlink") == 0)
		rename_key(o, "path", "link");
	return json_pack("{s:o}", kind, o);
}

static json_t *network_conf(json_t *n)
{
	static const struct renamed same[] = {
		{"policy",         "policy"         },
		{"allow",          "allow"          },
		{"deny",           "deny"           },
		{"rules",          "rules"          },
		{"defaultEgress",  "default_egress" },
		{"defaultIngress", "default_ingress"},
		{"strict",         "strict"         },
		{"ports",          "ports"          },
		{NULL,             NULL             },
	};
	static const struct renamed of_tls[] = {
		{"intercept",     "enabled"   },
		{"bypassDomains", "bypass"    },
		{"blockQuic",     "block_quic"},
		{NULL,            NULL        },
	};
	const json_t *dns, *tls;
	json_t *o, *d, *t;

	if (json_is_string(n))
		return json_incref(n);
	o = json_object();
	copy_all(o, n, same);
	if (json_bool(n, "disabled", false))
		(void)json_object_set_new(o, "enabled", json_false());
	if (json_object_get(n, "maxConnections"))
		(void)json_object_set(o, "max_connections",
		                      json_object_get(n, "maxConnections"));
	dns = json_object_get(n, "dns");
	if (dns) {
		int64_t ms = json_int(dns, "queryTimeoutMs", 0);

		d = json_object();
		if (json_object_get(dns, "nameservers"))
			(void)json_object_set(
				d, "nameservers",
				json_object_get(dns, "nameservers"));
		if (json_bool(dns, "allowRebind", false))
			(void)json_object_set_new(d, "rebind_protection",
			                          json_false());
		if (ms)
			(void)json_object_set_new(
				d, "query_timeout",
				json_sprintf("%lldms", (long long)ms));
		(void)json_object_set_new(o, "dns", d);
	}
	tls = json_object_get(n, "tls");
	if (tls) {
		t = json_object();
		copy_all(t, tls, of_tls);
		(void)json_object_set_new(o, "tls", t);
	}
	return o;
}

static json_t *secret_conf_of(const json_t *s)
{
	static const struct renamed same[] = {
		{"placeholder", "placeholder" },
		{"inject",      "inject"      },
		{"onViolation", "on_violation"},
		{"mask",        "mask"        },
		{NULL,          NULL          },
	};
	json_t *hosts = json_object_get(s, "hosts"), *o = json_object();
	const char *source = json_str(s, "source", NULL);

	copy_all(o, s, same);
	(void)json_object_set_new(o, "allow",
	                          json_is_array(hosts)
	                                  ? json_incref(hosts)
	                                  : json_pack("[O]", hosts));
	if (source)
		(void)json_object_set_new(o, "value",
		                          json_sprintf("${%s}", source));
	return o;
}

static json_t *init_conf(json_t *i)
{
	static const struct renamed same[] = {
		{"path", "cmd" },
		{"args", "args"},
		{"env",  "env" },
		{NULL,   NULL  }
        };
	json_t *o = json_object();

	if (json_is_string(i))
		(void)json_object_set(o, "cmd", i);
	else
		copy_all(o, i, same);
	return o;
}

static int put_lists(json_t *o, const json_t *args, struct msb_error *error)
{
	json_t *mounts = json_object_get(args, "mounts"), *list, *one;
	size_t i;

	if (mounts) {
		list = json_array();
		(void)json_object_set_new(o, "mounts", list);
		json_array_foreach(mounts, i, one)
		{
			json_t *m = mount_conf(one, error);

			if (!m)
				return -error->code;
			(void)json_array_append_new(list, m);
		}
	}
	if (json_object_get(args, "patches")) {
		list = json_array();
		(void)json_object_set_new(o, "patches", list);
		json_array_foreach(json_object_get(args, "patches"), i, one)(
			void) json_array_append_new(list, patch_conf(one));
	}
	if (json_object_get(args, "secrets")) {
		list = json_object();
		(void)json_object_set_new(o, "secrets", list);
		json_array_foreach(json_object_get(args, "secrets"), i,
		                   one)(void)
			json_object_set_new(list, json_str(one, "env", ""),
		                            secret_conf_of(one));
	}
	return 0;
}

static void put_seconds(json_t *o, const char *key, const json_t *args,
                        const char *arg)
{
	if (json_int(args, arg, 0))
		(void)json_object_set_new(
			o, key,
			json_sprintf("%llds",
		                     (long long)json_int(args, arg, 0)));
}

static json_t *conf_of(const json_t *args, struct msb_error *error)
{
	static const struct renamed same[] = {
		{"pullPolicy", "pull_policy"},
		{"cpus",       "cpus"       },
		{"env",        "env"        },
		{"labels",     "labels"     },
		{"workdir",    "workdir"    },
		{"user",       "user"       },
		{"shell",      "shell"      },
		{"hostname",   "hostname"   },
		{"scripts",    "scripts"    },
		{"rlimits",    "rlimits"    },
		{"ports",      "ports"      },
		{NULL,         NULL         },
	};
	json_t *o = json_object(), *entry = json_object_get(args, "entrypoint"),
	       *network = json_object_get(args, "network"),
	       *init = json_object_get(args, "init");
	const char *snapshot = json_str(args, "snapshot", NULL),
		   *image = json_str(args, "image", NULL);

	copy_all(o, args, same);
	if (snapshot)
		(void)json_object_set_new(
			o, "image", json_pack("{s:s}", "snapshot", snapshot));
	else if (image)
		(void)json_object_set_new(o, "image", json_string(image));
	copy_mib(o, "memory", args, "memoryMib");
	put_seconds(o, "max_duration", args, "maxDurationSecs");
	put_seconds(o, "idle_timeout", args, "idleTimeoutSecs");
	if (entry)
		(void)json_object_set_new(o, "entrypoint",
		                          json_is_array(entry)
		                                  ? json_incref(entry)
		                                  : json_pack("[O]", entry));
	if (network)
		(void)json_object_set_new(o, "network", network_conf(network));
	if (init)
		(void)json_object_set_new(o, "init", init_conf(init));
	if (put_lists(o, args, error) == 0)
		return o;
	json_decref(o);
	return NULL;
}

/* ---- as text ------------------------------------------------------------- */

/*
 * JSON is YAML but for characters that YAML does not take as they are: those
 * get an escape, which both know.
 */
static char *yaml_text(const json_t *o)
{
	static const struct {
		const char *bytes, *escape;
	} rare[] = {
		{"\x7f",         "\\u007f"},
		{"\xef\xbb\xbf", "\\ufeff"},
		{"\xef\xbf\xbe", "\\ufffe"},
		{"\xef\xbf\xbf", "\\uffff"},
	};
	struct buf cleanup_buf b = BUF_INIT;
	cleanup_free char *text = json_dumps(o, JSON_COMPACT);

	for (const char *p = text; p && *p;) {
		size_t k = 0;

		while (k < ARRAY_SIZE(rare) &&
		       strncmp(p, rare[k].bytes, strlen(rare[k].bytes)) != 0)
			k++;
		if (k < ARRAY_SIZE(rare)) {
			(void)buf_adds(&b, rare[k].escape);
			p += strlen(rare[k].bytes);
		} else if ((uint8_t)p[0] == 0xc2 && (uint8_t)p[1] < 0xa0) {
			(void)buf_printf(&b, "\\u%04x", (uint8_t)p[1]);
			p += 2;
		} else {
			(void)buf_addc(&b, *p++);
		}
	}
	return text ? buf_steal(&b) : NULL;
}

int create_plan_of(struct mcp_call *c, const json_t *args,
                   struct create_plan *ret, struct msb_error *error)
{
	json_t *cleanup_json o = NULL;
	cleanup_free char *text = NULL, *disk = NULL;
	struct create_values v = {0};
	struct err err = {0};

	(void)c;
	if (!json_object_get(args, "image") &&
	    !json_object_get(args, "snapshot"))
		return tool_fail(error, MSB_ERR_INVALID,
		                 "image is missing, or snapshot");
	o = conf_of(args, error);
	if (!o)
		return -error->code;
	text = yaml_text(o);
	if (!text)
		return tool_no_memory(error);
	if (json_int(args, "diskMib", 0) &&
	    asprintf(&disk, "%lldM", (long long)json_int(args, "diskMib", 0)) <
	            0)
		return tool_no_memory(error);
	v.name = json_str(args, "name", NULL);
	v.replace = json_bool(args, "replace", false);
	v.root_disk = disk;
	v.boot_timeout_ms = (uint64_t)json_int(args, "bootTimeoutMs", 0);
	if (create_plan_parse(&v, "arguments", text, strlen(text), ret, &err) <
	    0)
		return tool_fail_err(error, &err);
	return 0;
}

int args_list(const json_t *a, struct strv *ret)
{
	size_t n = json_array_size(a);
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = strv_add(ret, json_string_value(json_array_get(a, i)));
	return r;
}

int args_pairs(const json_t *o, struct strv *ret)
{
	const char *key;
	json_t *value;
	int r = 0;

	json_object_foreach((json_t *)(uintptr_t)o, key, value) if (r == 0) r =
		strv_addf(ret, "%s=%s", key, json_string_value(value));
	return r;
}
