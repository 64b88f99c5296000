/*
 * create.h - sandboxes as a call asks for them: sandbox_create, sandbox_run.
 *
 * Arguments are flat. Those of other clients that come in groups (resources,
 * process, lifecycle, rootfs) are made flat before they are checked. They
 * become a configuration as a file has it, which forms/ reads; what that makes
 * of them is then held against the policy.
 */
#ifndef MCP_CREATE_H
#define MCP_CREATE_H

#include <jansson.h>
#include <stdbool.h>

#include "forms/create_opts.h"
#include "mcp/server.h"

extern const struct field create_mount_fields[], create_patch_fields[],
	create_network_fields[], create_secret_fields[], create_rlimit_fields[],
	create_init_fields[];

/* The rows of a sandbox's arguments; ends with a comma. */
#define CREATE_FIELDS                                                          \
	FIELD_RANGE(                                                           \
		"image", FIELD_TEXT, 0, 1, 4096,                               \
		"What it is made of: a reference as docker has it (alpine, "   \
		"python:3.12, ghcr.io/a/b@sha256:...), or a path of the "      \
		"host"),                                                       \
		FIELD_RANGE(                                                   \
			"snapshot", FIELD_TEXT, 0, 1, 256,                     \
			"Begin with what a snapshot holds, instead of image"), \
		FIELD_CHOICE("pullPolicy", FIELD_TEXT, 0, 0,                   \
	                     "if-missing always never", NULL),                 \
		FIELD_RANGE("cpus", FIELD_INT, 0, 1, MSB_CPUS_MAX,             \
	                    "Virtual CPUs (1)"),                               \
		FIELD_RANGE("memoryMib", FIELD_INT, 0, 64, 1048576,            \
	                    "Memory in MiB (512)"),                            \
		FIELD_RANGE("diskMib", FIELD_INT, 0, 16, 1073741824,           \
	                    "Room for what is written in it, in MiB; takes "   \
	                    "only what "                                       \
	                    "is used (8192)"),                                 \
		FIELD("env", FIELD_PAIRS, 0,                                   \
	              "Variables of its commands. Not for secrets: they "      \
	              "would be "                                              \
	              "readable inside"),                                      \
		FIELD("labels", FIELD_PAIRS, 0, NULL),                         \
		FIELD_RANGE("workdir", FIELD_TEXT, 0, 1, 4096,                 \
	                    "Working folder of its commands"),                 \
		FIELD_RANGE("user", FIELD_TEXT, 0, 1, 256,                     \
	                    "User of its commands: NAME, UID, UID:GID"),       \
		FIELD_RANGE("shell", FIELD_TEXT, 0, 1, 4096,                   \
	                    "Shell of sandbox_shell (/bin/sh)"),               \
		FIELD_RANGE("hostname", FIELD_TEXT, 0, 1, 63, NULL),           \
		FIELD("entrypoint", FIELD_WORDS, 0,                            \
	              "Instead of the image's ENTRYPOINT"),                    \
		FIELD("scripts", FIELD_PAIRS, 0,                               \
	              "Scripts on the PATH inside: name to body"),             \
		FIELD_SUB("rlimits", FIELD_OBJECTS, 0, 32,                     \
	                  create_rlimit_fields, NULL),                         \
		FIELD_SUB("init", FIELD_CONF, 0, 0, create_init_fields,        \
	                  "Another process 1: a path inside, or auto"),        \
		FIELD_SUB("mounts", FIELD_OBJECTS, 0, MSB_MOUNTS_MAX,          \
	                  create_mount_fields,                                 \
	                  "Folders and files of the host, volumes, memory"),   \
		FIELD_SUB("patches", FIELD_OBJECTS, 0, 256,                    \
	                  create_patch_fields,                                 \
	                  "Changes to its files before it starts, in order"),  \
		FIELD_SUB("network", FIELD_CONF, 0, 0, create_network_fields,  \
	                  "What it may reach: public (default: the internet, " \
	                  "not "                                               \
	                  "private networks), private, host, with commas; "    \
	                  "all; none; "                                        \
	                  "or an object"),                                     \
		FIELD_RANGE("ports", FIELD_TEXTS, 0, 0, MSB_PORTS_MAX,         \
	                    "Published on 127.0.0.1 of the host: "             \
	                    "HOST:GUEST[/udp]; "                               \
	                    "HOST 0: any that is free"),                       \
		FIELD_SUB("secrets", FIELD_OBJECTS, 0, MSB_SECRETS_MAX,        \
	                  create_secret_fields,                                \
	                  "Secrets by reference: inside, env is a "            \
	                  "placeholder; the "                                  \
	                  "value is put in on the way to hosts alone. A "      \
	                  "value is "                                          \
	                  "never part of a call"),                             \
		FIELD_RANGE("maxDurationSecs", FIELD_INT, 0, 1, INT32_MAX,     \
	                    "It ends after so long"),                          \
		FIELD_RANGE("idleTimeoutSecs", FIELD_INT, 0, 1, INT32_MAX,     \
	                    "It ends when no command ran for so long"),        \
		FIELD_RANGE("bootTimeoutMs", FIELD_INT, 0, 1000, 3600000,      \
	                    "It must be ready after so long (60000)")

/* struct mcp_tool's prepare: groups become flat, values are refused. */
int create_prepare(struct mcp_call *c, json_t *args, struct msb_error *error);
/* The same of a list of secrets alone. */
int create_prepare_secrets(json_t *args, struct msb_error *error);

/*
 * A plan of checked arguments, whose paths are real and allowed. @ret_values
 * is what the plan's name points to. Give it back by create_plan_release().
 */
int create_plan_of(struct mcp_call *c, const json_t *args,
                   struct create_plan *ret, struct msb_error *error);

/* Pull what it needs, and start it: ready, when this returns. */
int create_start(struct mcp_call *c, struct msb_home *home,
                 struct create_plan *plan, struct msb_sandbox **ret,
                 struct msb_error *error);

/* Pull with progress. A path is one that policy_image() gave. */
int create_pull(struct mcp_call *c, struct msb_home *home,
                const char *reference, const struct msb_pull_opts *opts,
                struct msb_image **ret, struct msb_error *error);

/* KEY=VALUE of an object; a list of a list. -ENOMEM. */
int args_pairs(const json_t *o, struct strv *ret);
int args_list(const json_t *a, struct strv *ret);

#endif
