/* The tools of the server, and what it says about itself. */
#include <errno.h>

#include "mcp/host.h"
#include "mcp/tools_int.h"

#include "base/banned.h"

#define RO    TOOL_READ_ONLY
#define KILLS TOOL_DESTRUCTIVE
#define SAME  TOOL_IDEMPOTENT
#define OPEN  TOOL_OPEN_WORLD

static int prepare_modify(struct mcp_call *c, json_t *args,
                          struct msb_error *error)
{
	(void)c;
	return create_prepare_secrets(args, error);
}

/* Other clients say name. */
static int prepare_snapshot(struct mcp_call *c, json_t *args,
                            struct msb_error *error)
{
	json_t *name = json_object_get(args, "name");

	(void)c;
	(void)error;
	if (!name || json_object_get(args, "pathOrName"))
		return 0;
	(void)json_object_set(args, "pathOrName", name);
	(void)json_object_del(args, "name");
	return 0;
}

/*
 * The one list: name, flags, what is done before the check, title, description.
 * Lists of clients have this order.
 */
#define TOOLS(T)                                                               \
	T(runtime_check, RO, none, "Check the host",                           \
	  "Check whether this host can run sandboxes, and what to do if it "   \
	  "cannot.")                                                           \
	T(runtime_version, RO, none, "Version",                                \
	  "Version, home folder, how many sandboxes and background commands "  \
	  "this server runs.")                                                 \
	T(sandbox_run, OPEN, create, "Run a command in a new sandbox",         \
	  "Run one command (or script) in a sandbox that is made for it and "  \
	  "is gone afterwards: the safest way to try something once. Gives "   \
	  "exit code, stdout, stderr.")                                        \
	T(sandbox_create, OPEN | KILLS, create, "Create a sandbox",            \
	  "Make a sandbox, a small virtual machine of its own, and start it. " \
	  "Returns when commands can run in it (sandbox_exec, "                \
	  "sandbox_shell). It ends with this server unless detached.")         \
	T(sandbox_list, RO, none, "List sandboxes",                            \
	  "All sandboxes on record, also stopped ones and those of others.")   \
	T(sandbox_inspect, RO, none, "Inspect a sandbox",                      \
	  "All about one sandbox: status, configuration, how it ended, what "  \
	  "waits for its next start.")                                         \
	T(sandbox_start, SAME, none, "Start sandboxes",                        \
	  "Start stopped sandboxes. They end with this server unless "         \
	  "detached.")                                                         \
	T(sandbox_stop, SAME | KILLS, none, "Stop sandboxes",                  \
	  "Stop running sandboxes. What was written in them stays if they "    \
	  "have names and are not ephemeral.")                                 \
	T(sandbox_wait, RO, none, "Wait for sandboxes to end",                 \
	  "Wait until a sandbox ends by itself, and say how.")                 \
	T(sandbox_modify, KILLS, modify, "Modify a sandbox",                   \
	  "Change cpus, memory, variables, labels, limits, secrets of a "      \
	  "sandbox. What a running one cannot change waits for its next "      \
	  "start; the result says which.")                                     \
	T(sandbox_remove, KILLS, none, "Remove sandboxes",                     \
	  "Remove sandboxes and all that was written in them. Images, "        \
	  "volumes and snapshots stay.")                                       \
	T(sandbox_exec, KILLS | OPEN, none, "Run a command",                   \
	  "Run a program in a running sandbox, without a shell, and wait for " \
	  "its end. Gives exit code, stdout, stderr. For what takes long: "    \
	  "sandbox_exec_start.")                                               \
	T(sandbox_shell, KILLS | OPEN, none, "Run a shell script",             \
	  "The same for a script, by the sandbox's shell: pipes, variables, "  \
	  "several commands.")                                                 \
	T(sandbox_exec_start, KILLS | OPEN, none,                              \
	  "Start a command in the background",                                 \
	  "Start a command and return at once with an execSessionId, for "     \
	  "servers and what takes long. Ask sandbox_exec_poll what it wrote, " \
	  "and close it in the end. It is ended when nobody asks for 15 "      \
	  "minutes.")                                                          \
	T(sandbox_exec_poll, RO, none, "Look at a background command",         \
	  "What a background command wrote since the cursor, and whether it "  \
	  "still runs. Only the newest MiB is kept.")                          \
	T(sandbox_exec_write_stdin, KILLS, none,                               \
	  "Write to a background command",                                     \
	  "Write to a background command's standard input, or close it.")      \
	T(sandbox_exec_signal, KILLS, none, "Signal a background command",     \
	  "Send a signal to a background command and its children.")           \
	T(sandbox_exec_close, KILLS, none, "Close a background command",       \
	  "Forget a background command. It is killed if it still runs.")       \
	T(sandbox_fs_read, RO, none, "Read a file",                            \
	  "Read a file in a running sandbox, or a part of one.")               \
	T(sandbox_fs_write, KILLS | SAME, none, "Write a file",                \
	  "Write a whole file in a running sandbox. It appears when it is "    \
	  "complete. The folder must exist (sandbox_fs_mkdir).")               \
	T(sandbox_fs_list, RO, none, "List a folder",                          \
	  "What is in a folder of a running sandbox.")                         \
	T(sandbox_fs_stat, RO, none, "Stat a path",                            \
	  "Type, size, mode, owner, time of a path in a running sandbox.")     \
	T(sandbox_fs_exists, RO, none, "Does a path exist",                    \
	  "Whether a path exists in a running sandbox.")                       \
	T(sandbox_fs_mkdir, SAME, none, "Make a folder",                       \
	  "Make a folder in a running sandbox.")                               \
	T(sandbox_fs_remove, KILLS, none, "Remove a path",                     \
	  "Remove a file, or a folder, in a running sandbox.")                 \
	T(sandbox_fs_copy, KILLS, none, "Copy in sandboxes",                   \
	  "Copy a file or folder within a running sandbox, or to another.")    \
	T(sandbox_fs_rename, KILLS, none, "Rename a path",                     \
	  "Rename a path in a running sandbox.")                               \
	T(sandbox_fs_copy_from_host, KILLS, none, "Copy from the host",        \
	  "Copy a file or folder of the host into a running sandbox, as "      \
	  "docker cp does. Only from folders that are allowed.")               \
	T(sandbox_fs_copy_to_host, KILLS, none, "Copy to the host",            \
	  "Copy a file or folder of a running sandbox to the host. Only to "   \
	  "folders that are allowed.")                                         \
	T(sandbox_logs_read, RO, none, "Read logs",                            \
	  "What commands of a sandbox wrote, its console, and what the "       \
	  "system "                                                            \
	  "said about it (source system: denied connections, ends). Also of "  \
	  "a stopped one.")                                                    \
	T(sandbox_metrics, RO, none, "Metrics of a sandbox",                   \
	  "CPU, memory, disk and network counters of a running sandbox.")      \
	T(sandbox_metrics_all, RO, none, "Metrics of all sandboxes",           \
	  "The same of all that run.")                                         \
	T(net_explain, RO, none, "Explain a connection",                       \
	  "Which rule decides when a sandbox connects to a host, and why. "    \
	  "The first thing to ask when a connection fails inside.")            \
	T(net_rules, RO, none, "Network rules",                                \
	  "The network rules of a sandbox, in the order in which they are "    \
	  "asked.")                                                            \
	T(volume_create, 0, none, "Create a volume",                           \
	  "Make a volume: storage that sandboxes mount by its name and that "  \
	  "outlives them.")                                                    \
	T(volume_list, RO, none, "List volumes", "All volumes.")               \
	T(volume_inspect, RO, none, "Inspect a volume",                        \
	  "Kind, size, use of one volume.")                                    \
	T(volume_remove, KILLS, none, "Remove a volume",                       \
	  "Remove a volume and all in it.")                                    \
	T(image_pull, OPEN | SAME, none, "Pull an image",                      \
	  "Fetch an image, so that sandboxes of it start at once. "            \
	  "sandbox_create does it by itself.")                                 \
	T(image_list, RO, none, "List images", "All images that are here.")    \
	T(image_inspect, RO, none, "Inspect an image",                         \
	  "Size, layers, configuration of one image.")                         \
	T(image_remove, KILLS, none, "Remove images",                          \
	  "Remove images from this host.")                                     \
	T(image_prune, KILLS, none, "Prune images",                            \
	  "Free content that no image needs; with all, every image.")          \
	T(snapshot_create, KILLS, none, "Create a snapshot",                   \
	  "Keep what was written in a stopped sandbox under a name; new "      \
	  "sandboxes begin with it (sandbox_create with snapshot).")           \
	T(snapshot_list, RO, none, "List snapshots", "All snapshots.")         \
	T(snapshot_inspect, RO, snapshot, "Inspect a snapshot",                \
	  "Image, size, labels, digest of one snapshot.")                      \
	T(snapshot_verify, RO, snapshot, "Verify a snapshot",                  \
	  "Read a snapshot's content and compare it with its digest.")         \
	T(snapshot_remove, KILLS, snapshot, "Remove a snapshot",               \
	  "Remove a snapshot. What others need of it stays.")                  \
	T(snapshot_save, KILLS, snapshot, "Save a snapshot",                   \
	  "Write a snapshot to one file of the host, in a folder that is "     \
	  "allowed.")                                                          \
	T(snapshot_load, 0, none, "Load a snapshot",                           \
	  "Read a snapshot from a file that snapshot_save wrote.")

#define DECLARE(name, flags, prepare, title, text) TOOL_DECLARE(name);
TOOLS(DECLARE)
#undef DECLARE

#define ROW(n, f, p, t, d)                                                     \
	{.name = #n,                                                           \
	 .title = (t),                                                         \
	 .description = (d),                                                   \
	 .flags = (f),                                                         \
	 .input = n##_in,                                                      \
	 .output = n##_out,                                                    \
	 .prepare = PREPARE_##p,                                               \
	 .run = tool_##n},
#define PREPARE_none     NULL
#define PREPARE_create   create_prepare
#define PREPARE_modify   prepare_modify
#define PREPARE_snapshot prepare_snapshot

static const struct mcp_tool tools[] = {TOOLS(ROW){0}};

const struct mcp_app mcp_app = {
	.tools = tools,
	.instructions =
		"Sandboxes are small virtual machines: what runs in one "
		"touches neither this host nor the others. For one command "
		"use sandbox_run; for work of several steps sandbox_create "
		"with a name, then sandbox_shell and sandbox_fs_*, and "
		"sandbox_remove in the end. The internet can be reached from "
		"inside, private networks and this host cannot, unless network "
		"says so. Paths of the host work below allowed folders only: "
		"see the resource microsandbox://policy. Credentials go in as "
		"secrets, by the name of a variable, never by value. What "
		"removes something needs confirm: true.",
	.resources = resources_list,
	.templates = resources_templates,
	.read = resources_read,
};

int mcp_list_tools(const struct mcp_options *opt, struct buf *ret)
{
	(void)buf_adds(ret, "| tool | what it does | changes |\n"
	                    "| --- | --- | --- |\n");
	for (const struct mcp_tool *t = tools; t->name; t++) {
		if (!policy_has_tool(opt, t->name, t->flags & RO))
			continue;
		(void)buf_printf(ret, "| `%s` | %s | %s |\n", t->name,
		                 t->description,
		                 t->flags & RO      ? "nothing"
		                 : t->flags & KILLS ? "may destroy"
		                                    : "adds");
	}
	return buf_ok(ret) ? 0 : -ENOMEM;
}
