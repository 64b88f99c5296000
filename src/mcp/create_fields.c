/* What a sandbox's arguments may have in them. */
#include "mcp/create.h"

#include "base/banned.h"

#define HOST_PATH "A path of the host, below a folder that is allowed"

const struct field create_mount_fields[] = {
	FIELD_CHOICE("kind", FIELD_TEXT, 0, 0, "bind named tmpfs disk",
                     "bind (default): hostPath; named: the volume name, made "
                     "if there is "
                     "none; tmpfs: memory; disk: a disk image"),
	FIELD_RANGE("guestPath", FIELD_TEXT, FIELD_REQUIRED, 1, 4096,
                    "An absolute path inside"),
	FIELD_RANGE("hostPath", FIELD_TEXT, 0, 1, 4096, HOST_PATH),
	FIELD_RANGE("name", FIELD_TEXT, 0, 1, MSB_NAME_MAX, "Of a volume"),
	FIELD("readonly", FIELD_BOOL, 0, NULL),
	FIELD("noexec", FIELD_BOOL, 0, NULL),
	FIELD("nosuid", FIELD_BOOL, 0, NULL),
	FIELD("nodev", FIELD_BOOL, 0, NULL),
	FIELD_RANGE("sizeMib", FIELD_INT, 0, 1, 1073741824,
                    "Of memory, or of a new volume"),
	FIELD_RANGE("quotaMib", FIELD_INT, 0, 1, 1073741824,
                    "So much may be added to a folder"),
	FIELD_CHOICE("volumeKind", FIELD_TEXT, 0, 0, "dir disk",
                     "Of a new volume"),
	FIELD_CHOICE("format", FIELD_TEXT, 0, 0, "raw qcow2", "Of a disk"),
	FIELD_RANGE("fstype", FIELD_TEXT, 0, 1, 32, "Of a disk (ext4)"),
	FIELD_RANGE("uid", FIELD_INT, 0, 0, UINT32_MAX - 1,
                    "Who all files belong to, with gid"),
	FIELD_RANGE("gid", FIELD_INT, 0, 0, UINT32_MAX - 1, NULL),
	{0},
};

const struct field create_patch_fields[] = {
	FIELD_CHOICE("kind", FIELD_TEXT, FIELD_REQUIRED, 0,
                     "text file copy_file copy_dir append mkdir symlink remove "
                     "chmod chown",
                     NULL),
	FIELD_RANGE("path", FIELD_TEXT, FIELD_REQUIRED, 1, 4096,
                    "The absolute path inside that is changed"),
	FIELD("content", FIELD_TEXT, 0, "Of text and append"),
	{"contentBase64", FIELD_TEXT, 0, 0, 0, NULL, "Of file", NULL},
	FIELD_RANGE("hostPath", FIELD_TEXT, 0, 1, 4096,
                    "Of copy_file and copy_dir: " HOST_PATH),
	FIELD_RANGE("target", FIELD_TEXT, 0, 1, 4096,
                    "Of symlink: where it leads"),
	FIELD_RANGE("mode", FIELD_TEXT, 0, 4, 4, "Four octal digits: 0644"),
	FIELD_RANGE("uid", FIELD_INT, 0, 0, UINT32_MAX - 1, NULL),
	FIELD_RANGE("gid", FIELD_INT, 0, 0, UINT32_MAX - 1, NULL),
	FIELD("replace", FIELD_BOOL, 0, "What is at path may be there already"),
	{0	     },
};

static const struct field dns_fields[] = {
	FIELD_RANGE("nameservers", FIELD_TEXTS, 0, 0, 8, "ADDRESS[:PORT]"),
	FIELD("allowRebind", FIELD_BOOL, 0,
              "Names may stand for private addresses"),
	FIELD_RANGE("queryTimeoutMs", FIELD_INT, 0, 1, 600000, NULL),
	{0},
};

static const struct field tls_fields[] = {
	FIELD("intercept", FIELD_BOOL, 0,
              "Decrypt TLS to all hosts, not to those of secrets alone"),
	FIELD_RANGE("bypassDomains", FIELD_TEXTS, 0, 0, 256, NULL),
	FIELD("blockQuic", FIELD_BOOL, 0, NULL),
	{0},
};

const struct field create_network_fields[] = {
	FIELD_RANGE("policy", FIELD_TEXT, 0, 1, 64,
                    "public, private, host, with commas; all; none"),
	FIELD("disabled", FIELD_BOOL, 0, "No network at all"),
	FIELD_RANGE("allow", FIELD_TEXTS, 0, 0, 512,
                    "Targets: example.com, *.example.com, 10.0.0.0/8, "
                    "example.com:tcp:443"),
	FIELD_RANGE("deny", FIELD_TEXTS, 0, 0, 512, "Targets, before allow"),
	FIELD_RANGE(
		"rules", FIELD_TEXTS, 0, 0, 512,
		"allow@TARGET or deny@TARGET; the first that matches decides"),
	FIELD_CHOICE("defaultEgress", FIELD_TEXT, 0, 0, "allow deny", NULL),
	FIELD_CHOICE("defaultIngress", FIELD_TEXT, 0, 0, "allow deny", NULL),
	FIELD("strict", FIELD_BOOL, 0,
              "A name that is allowed must be confirmed by the connection"),
	FIELD_RANGE("ports", FIELD_TEXTS, 0, 0, MSB_PORTS_MAX, "As ports"),
	FIELD_RANGE("maxConnections", FIELD_INT, 0, 1, MSB_CONNECTIONS_MAX,
                    NULL),
	FIELD_SUB("dns", FIELD_OBJECT, 0, 0, dns_fields, NULL),
	FIELD_SUB("tls", FIELD_OBJECT, 0, 0, tls_fields, NULL),
	{0},
};

const struct field create_secret_fields[] = {
	FIELD_RANGE("env", FIELD_TEXT, FIELD_REQUIRED, 1, 128,
                    "The variable inside, which holds a placeholder"),
	FIELD("hosts", FIELD_WORDS, FIELD_REQUIRED,
              "Where the value may go: api.example.com, *.example.com"),
	FIELD_RANGE("source", FIELD_TEXT, 0, 1, 128,
                    "The variable of msb mcp that has the value (as env)"),
	FIELD_CHOICE("inject", FIELD_TEXTS, 0, 4,
                     "headers basic_auth query_params body",
                     "Where the placeholder may stand (headers, basic_auth)"),
	FIELD_RANGE("placeholder", FIELD_TEXT, 0, MSB_PLACEHOLDER_MIN,
                    MSB_PLACEHOLDER_MAX, NULL),
	FIELD("mask", FIELD_BOOL, 0, "Hide the value in answers, too"),
	FIELD_CHOICE("onViolation", FIELD_TEXT, 0, 0,
                     "block block-and-log block-and-terminate passthrough",
                     NULL),
	{0},
};

const struct field create_rlimit_fields[] = {
	FIELD_RANGE("resource", FIELD_TEXT, FIELD_REQUIRED, 1, 32,
                    "nofile, nproc, as, ..."),
	FIELD("soft", FIELD_INT, FIELD_REQUIRED, NULL),
	FIELD("hard", FIELD_INT, 0, NULL),
	{0},
};

const struct field create_init_fields[] = {
	FIELD_RANGE("path", FIELD_TEXT, FIELD_REQUIRED, 1, 4096, NULL),
	FIELD_RANGE("args", FIELD_TEXTS, 0, 0, 256, NULL),
	FIELD("env", FIELD_PAIRS, 0, NULL),
	{0},
};
