#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/out.h"

#include "base/banned.h"

COMMAND_DECLARE(run)
COMMAND_DECLARE(commit)
COMMAND_DECLARE(copy)
COMMAND_DECLARE(exec)
COMMAND_DECLARE(shell)
COMMAND_DECLARE(attach)
COMMAND_DECLARE(create)
COMMAND_DECLARE(start)
COMMAND_DECLARE(stop)
COMMAND_DECLARE(kill)
COMMAND_DECLARE(restart)
COMMAND_DECLARE(modify)
COMMAND_DECLARE(list)
COMMAND_DECLARE(status)
COMMAND_DECLARE(inspect)
COMMAND_DECLARE(logs)
COMMAND_DECLARE(metrics)
COMMAND_DECLARE(ping)
COMMAND_DECLARE(touch)
COMMAND_DECLARE(remove)
COMMAND_DECLARE(pull)
COMMAND_DECLARE(load)
COMMAND_DECLARE(save)
COMMAND_DECLARE(image_list)
COMMAND_DECLARE(image_inspect)
COMMAND_DECLARE(image_remove)
COMMAND_DECLARE(image_prune)
COMMAND_DECLARE(install)
COMMAND_DECLARE(uninstall)
COMMAND_DECLARE(launch)
COMMAND_DECLARE(doctor)
COMMAND_DECLARE(snapshot_create)
COMMAND_DECLARE(snapshot_list)
COMMAND_DECLARE(snapshot_inspect)
COMMAND_DECLARE(snapshot_verify)
COMMAND_DECLARE(snapshot_remove)
COMMAND_DECLARE(snapshot_save)
COMMAND_DECLARE(snapshot_load)
COMMAND_DECLARE(completion)
COMMAND_DECLARE(mcp)
COMMAND_DECLARE(skills_install)
COMMAND_DECLARE(skills_list)
COMMAND_DECLARE(skills_show)
COMMAND_DECLARE(skills_remove)
COMMAND_DECLARE(self_uninstall)
COMMAND_DECLARE(volume_create)
COMMAND_DECLARE(volume_list)
COMMAND_DECLARE(volume_inspect)
COMMAND_DECLARE(volume_remove)
COMMAND_DECLARE(volume_prune)
COMMAND_DECLARE(net_explain)
COMMAND_DECLARE(net_rules)

#define CLI_OPT(letter, field, help)                                           \
	OPT_ROW(letter, #field, NULL, OPT_FLAG, offsetof(struct cli, field),   \
	        help)
const struct opt command_global_opts[] = {
	CLI_OPT('h', help, "Show this help"),
	CLI_OPT('V', version, "Show the version"),
	CLI_OPT(0, tree, "Show commands and options as a tree"),
	CLI_OPT(0, error, "Show errors of the machine's process"),
	CLI_OPT(0, warn, "... and warnings"),
	CLI_OPT(0, info, "... and what it does"),
	CLI_OPT(0, debug, "... and details"),
	CLI_OPT(0, trace, "... and everything"),
	{0},
};
#undef CLI_OPT

#define ROW(fn, n, a, g, u, s, d, min, max, t)                                 \
	{                                                                      \
		.name = (n), .aliases = (a), .group = (g), .usage = (u),       \
		.summary = (s), .details = (d), .opts = cmd_##fn##_opts,       \
		.words_min = (min), .words_max = (max), .tail = (t),           \
		.run = cmd_##fn                                                \
	}

#define GROUP(n, g, s, subcommands)                                            \
	{                                                                      \
		.name = (n), .group = (g), .usage = "", .summary = (s),        \
		.sub = (subcommands)                                           \
	}

static const struct opt cmd_help_opts[] = {{0}};

static const char pull_details[] =
	"IMAGE is a reference with docker's defaults (alpine, "
	"localhost:5000/app:1, alpine@sha256:...) or a path beginning with . "
	"or /: a docker-archive, an oci-archive or an OCI layout folder. What "
	"is here already is not fetched again; an interrupted pull resumes.";

static const char load_details[] =
	"Reads a docker-archive or oci-archive (a tar file) or an OCI layout "
	"folder. Without --input the archive comes from standard input.";

static const char save_details[] =
	"Writes one tar with all of them, for msb load, docker load and podman "
	"(--format docker) or for what reads OCI layouts (--format oci). "
	"Layers are in it uncompressed, as their authors made them; msb load "
	"gives an image the id that it has here. Without --output the archive "
	"goes to standard output.";

static const char completion_details[] =
	"Prints a script. To have it in every new shell:\n"
	"\n"
	"bash (in ~/.bashrc):\n"
	"  source <(msb completion bash)\n"
	"zsh (a folder of $fpath, before compinit runs):\n"
	"  msb completion zsh > ~/.zfunc/_msb\n"
	"fish:\n"
	"  msb completion fish > ~/.config/fish/completions/msb.fish\n"
	"\n"
	"make install puts all three where the shells look for them.";

static const char metrics_details[] =
	"CPU in percent of one processor of the host, memory that the host "
	"holds of the machine's, what disk and network move a second, and how "
	"long it is up. All counted on the host: a guest that sleeps is not "
	"woken. Without options two looks half a second apart, as a table.";

static const char uninstall_details[] =
	"Removes the files that make install put in place, if they are still "
	"as they were, and what msb made in its home folder: sandboxes, images "
	"and settings. Asks before. Nothing else is touched.";

static const char logs_details[] =
	"What commands wrote comes as they wrote it, their standard error to "
	"standard error. On a terminal only text and colours get through, all "
	"else a guest may have written is made visible. Kept are the last "
	"16 MiB or so of what msb exec and run showed, and as much of what "
	"went on in the background and of the console, until msb rm. A sandbox "
	"without a name has logs while it runs.\n"
	"\n"
	"Examples:\n"
	"  msb logs -f --tail 20 box\n"
	"  msb logs --source all --timestamps --since 10m box\n"
	"  msb logs --grep 'ERROR|WARN' box";

static const char install_details[] =
	"Writes a launcher, a small shell script, into the folder of your "
	"commands: MSB_BIN, else ~/.local/bin, which is in PATH on most "
	"systems. Its name is that of the image, or the one given with -n. All "
	"its arguments are added to COMMAND; without one they take the place "
	"of the image's CMD.\n"
	"\n"
	"The first call makes a sandbox of that name, which stays with what is "
	"written in it; each call runs COMMAND in it (or the image's), and "
	"starts it when it does not run. Ten minutes after its last command it "
	"stops, or as --idle-timeout says. With --tmp each call is an msb run: "
	"a fresh machine of which nothing stays.\n"
	"\n"
	"Files of --conf are read by each call that makes a machine. Variables "
	"of -e are in the launcher, which only you can read.\n"
	"\n"
	"Examples:\n"
	"  msb install --tmp -n py python:3.11 -- python3\n"
	"  py -c 'print(1)'\n"
	"  msb install -n box --conf box.yaml";

static const char remove_launcher_details[] =
	"Removes launchers that msb install wrote; other files stay. So does "
	"the sandbox of that name: msb rm removes it.";

/* Of the commands that make a sandbox. */
#define MOUNT_DETAILS                                                          \
	"\n\n"                                                                 \
	"OPTIONS of -v and --mount-* are words with commas between: ro (also " \
	"for root in the machine; kept on this side), rw, noexec, nosuid, "    \
	"nodev; of folders, files and volumes uid=N,gid=N (who all files "     \
	"belong to inside; else who made them there, and yours the sandbox's " \
	"user), cache=auto|always|none (when changes made here are seen: "     \
	"within a second, maybe never, at once), quota=SIZE (how much may be " \
	"added; of a volume that is made by this: how much it may have); of "  \
	"volumes kind=dir|disk and size=SIZE, see msb volume create; of disk " \
	"images format=raw|qcow2, fstype=TYPE; of paths follow (SOURCE may "   \
	"be a symbolic link). Of --tmpfs also mode=1777. SOURCE must be "      \
	"there, and changes in it are changes here; TARGET is made if it is "  \
	"not there. A ':' of a path is written \\:, in quotes."

#define SECRET_DETAILS                                                         \
	"\n\n"                                                                 \
	"OPTIONS of --secret are words with commas between: header, basic "    \
	"(Authorization: Basic, decoded), query, body: where the "             \
	"placeholder may stand (none of them: header and basic); mask (the "   \
	"value becomes the placeholder again in answers), placeholder=TEXT "   \
	"(MSB_ and 32 digits), violation=ACTION (as --on-secret-violation), "  \
	"from=VARIABLE (of another name here than inside). HOST is NAME, "     \
	"*.NAME (NAME and all below) or *. The value is read at each start, "  \
	"kept nowhere, and put in inside TLS alone, to servers whose "         \
	"certificate is right for that name; docs/secrets.md says what that "  \
	"promises. As msb run --secret GH_TOKEN@api.github.com."

#define CONF_DETAILS                                                           \
	"\n\n"                                                                 \
	"A file of --conf is YAML; any of its keys may be left out:\n"         \
	"  image: python:3.11            # or ./rootfs, from this folder\n"    \
	"  pull_policy: missing          # always, never\n"                    \
	"  cpus: 2\n"                                                          \
	"  memory: 1G\n"                                                       \
	"  max_duration: 2h\n"                                                 \
	"  idle_timeout: 10m\n"                                                \
	"  rlimits: [{resource: nofile, soft: 1024, hard: 4096}]\n"            \
	"  workdir: /srv\n"                                                    \
	"  shell: /bin/bash\n"                                                 \
	"  user: nobody\n"                                                     \
	"  hostname: box\n"                                                    \
	"  entrypoint: [/bin/sh, -c]\n"                                        \
	"  cmd: [build]                  # unless a COMMAND is given\n"        \
	"  env: {TOKEN: \"${TOKEN}\"}      # from here; must be set\n"         \
	"  labels: {team: a}\n"                                                \
	"  init: {cmd: auto, args: [], env: {}}\n"                             \
	"  network:                      # or a word: public, none, open\n"    \
	"    allow: [pypi.org, \"*.pythonhosted.org:tcp:443\"]\n"              \
	"    # also policy, deny, rules, default_egress, dns, limits, ...\n"   \
	"  ports: [\"8080:80\"]            # as -p\n"                          \
	"  secrets:                      # as --secret\n"                      \
	"    KEY: {allow: [api.example.com], inject: [headers]}\n"             \
	"    # also value: \"${OTHER}\", mask, placeholder, on_violation\n"    \
	"  mounts:\n"                                                          \
	"  - ./src:/src:ro               # as -v, from this folder\n"          \
	"  - {named: cache, target: /var/cache, quota: 1G}\n"                  \
	"  - {tmpfs: {size: 64M}, target: /scratch, noexec: true}\n"           \
	"  patches:                      # in order, before --copy\n"          \
	"  - text: {path: /etc/motd, content: \"hi\\n\", replace: true}\n"     \
	"  - copy_dir: {src: ./app, dst: /srv/app}\n"                          \
	"  # also file, append, copy_file, symlink, mkdir, remove, chmod "     \
	"and\n"                                                                \
	"  # chown; patch_files: files that have a list of them\n"             \
	"  scripts:\n"                                                         \
	"    build: |                    # #!SHELL goes before it\n"           \
	"      make -j2\n"                                                     \
	"Files go over each other from left to right: a value replaces, a "    \
	"map "                                                                 \
	"each of its keys, a list the whole list. Options go over files, "     \
	"files over variables (MSB_ENGINE, MSB_ACCEL), these over "            \
	"config.toml, that over config.json; see msb --help. $${ is a plain "  \
	"${. Unknown keys, anchors, tags, several documents and an unquoted "  \
	"yes, no, on or off are errors."

static const char run_details[] =
	"IMAGE is a reference (pulled when it is not here), an archive or OCI "
	"layout by path, or a folder with a root file system (./rootfs). "
	"COMMAND replaces the image's CMD; its ENTRYPOINT stays, unless "
	"--entrypoint is given. The machine ends with the command. Without "
	"--name nothing of it is left; with it, what was written in the "
	"sandbox stays until msb rm, and msb start starts it again. Inside "
	"it reaches the public internet, and nothing else: see --net and "
	"--net-rule.\n"
	"\n"
	"With a terminal on both ends the command gets a terminal too, else "
	"standard input, output and error are passed through apart. Ctrl-C "
	"goes to the command; twice within two seconds kills a machine that "
	"does not answer. Ctrl-] lets go of the command: it goes on in the "
	"background, and msb attach joins it again. --detach starts it there: "
	"its output is in msb logs.\n"
	"\n"
	"Exit code: the command's own, 128+n when signal n ended it, 124 on "
	"--timeout, 125 when msb failed, 126 when the command is not "
	"executable, 127 when it was not found.\n"
	"\n"
	"Examples:\n"
	"  msb run alpine -- echo hello\n"
	"  msb run -m 1G -c 2 -e DEBUG=1 python:3.11 -- python3 -V\n"
	"  msb run -d -n web python:3.11 -- python3 -m http.server\n"
	"  msb run -v .:/src -w /src gcc -- make\n"
	"  msb run -d -n web -p 8080:80 nginx\n"
	"  msb run --no-net --net-rule allow@pypi.org python:3.11 -- pip "
	"download x\n"
	"  tar c . | msb run debian -- tar tv" MOUNT_DETAILS SECRET_DETAILS
		CONF_DETAILS;

static const char exec_details[] =
	"COMMAND runs as it is, without the image's ENTRYPOINT; without one, "
	"on a terminal, the sandbox's shell does. The sandbox must run: msb "
	"start starts it. Terminal, input, Ctrl-C, Ctrl-] and exit codes are "
	"as with msb run; when msb exec is killed, the command ends and the "
	"machine stays.\n"
	"\n"
	"--detach prints a session number as soon as the command runs: its "
	"output goes to msb logs, msb attach --session joins it.\n"
	"\n"
	"Examples:\n"
	"  msb exec box -- ls -l /\n"
	"  msb exec -u www-data -w /srv box -- make\n"
	"  msb exec -d box -- sleep 1000";

static const char commit_details[] =
	"What was written in the sandbox becomes one more layer over its "
	"image. "
	"Of one that runs each file is taken as it is at that moment; one that "
	"does not is started for it, without its commands. What is mounted in "
	"it, "
	"/etc/hosts, hostname and resolv.conf stay out.\n"
	"\n"
	"Examples:\n"
	"  msb commit box mine:1\n"
	"  msb commit -c 'CMD [\"python3\", \"app.py\"]' -c 'ENV A=b' box "
	"mine:2";

static const char copy_details[] =
	"One side, or both, is SANDBOX:PATH. The sandbox must run. A folder "
	"that "
	"is there takes the source into it, under its name; otherwise the "
	"source "
	"gets the name TARGET. SOURCE/. is what is in a folder. What begins "
	"with "
	". or / is here, whatever colons it has; - is a tar stream, read (also "
	"compressed by gzip or zstd) or written.\n"
	"Modes, times, symbolic and hard links are kept, devices are left out. "
	"In a sandbox what comes belongs to root, here to you, but with "
	"--archive.\n"
	"\n"
	"Examples:\n"
	"  msb cp ./src box:/work\n"
	"  msb cp box:/work/out/. ./results\n"
	"  msb cp box:/var/log - | tar tv\n"
	"  msb cp one:/data two:/data";

static const char shell_details[] =
	"The shell is /bin/sh, or what --shell of run and create said. With "
	"SCRIPT it is run as sh -c does, the words behind it are its "
	"arguments; without, the shell reads standard input.\n"
	"\n"
	"Examples:\n"
	"  msb shell box\n"
	"  msb shell box -- 'cd /srv && ls | wc -l'\n"
	"  echo 'uname -r' | msb shell box";

static const char attach_details[] =
	"Joins the main command of a sandbox that was let go of, by Ctrl-] or "
	"by --detach, or another one by --session. What it wrote meanwhile is "
	"in msb logs. Ctrl-] lets go of it again; so does the end of the "
	"terminal. The exit code is the command's.";

static const char create_details[] =
	"The sandbox runs without a command and lives on when msb ends: msb "
	"exec "
	"and msb shell use it, msb stop ends it, msb start starts it again "
	"with "
	"all that was written in it, until msb rm. Its name is printed when it "
	"is ready.\n"
	"\n"
	"Examples:\n"
	"  msb create -n box -m 1G python:3.11\n"
	"  msb exec box -- python3 -V\n"
	"  msb create --idle-timeout 10m --label team=a "
	"alpine" MOUNT_DETAILS SECRET_DETAILS CONF_DETAILS;

static const char modify_details[] =
	"Shows what changes, and when. Labels, variables, workdir, user and "
	"shell count for the next command in a machine that runs; all else "
	"waits for its next start, which has to be said: --restart does that "
	"now, --next-start waits for it. Otherwise nothing is changed at all. "
	"Mounts, patches and the network stay as they were made.\n"
	"\n"
	"Secrets of a sandbox that runs with secrets change at once: values "
	"for the next request, variables for the next command. What --secret "
	"does not say of one that is there stays; --secret ENV alone gives it "
	"the value that the variable has here now.\n"
	"\n"
	"Examples:\n"
	"  msb modify box --memory 2G --cpus 2 --restart\n"
	"  msb modify box --env DEBUG=1 --label-rm team\n"
	"  msb modify box --root-disk 20G --dry-run\n"
	"  GH_TOKEN=$(new-token) msb modify box --secret GH_TOKEN";

static const struct command image_commands[] = {
	ROW(pull, "pull", NULL, "Commands", "<IMAGE>",
            "Fetch an image from a registry", pull_details, 1, 1, false),
	ROW(load, "load", NULL, "Commands", "", "Load images from an archive",
            load_details, 0, 0, false),
	ROW(save, "save", NULL, "Commands", "<IMAGE>...",
            "Save images to an archive", save_details, 1, -1, false),
	ROW(image_list, "list", "ls", "Commands", "", "List images", NULL, 0, 0,
            false),
	ROW(image_inspect, "inspect", NULL, "Commands", "<IMAGE>",
            "Show what an image is made of", NULL, 1, 1, false),
	ROW(image_remove, "remove", "rm", "Commands", "<IMAGE>...",
            "Remove images", NULL, 1, -1, false),
	ROW(image_prune, "prune", NULL, "Commands", "",
            "Free what no image needs, with --all every image",
            "Interrupted downloads go, too.", 0, 0, false),
	{0},
};

static const char snapshot_create_details[] =
	"Of a sandbox that was stopped: what was written in it, over its "
	"image. No data is copied, and both go on apart from each other. New "
	"sandboxes begin with it by msb run --from-snapshot NAME, any number.";

static const char snapshot_remove_details[] =
	"Sandboxes that began with it keep what they have; its data goes when "
	"nothing needs it any more.";

static const char snapshot_save_details[] =
	"One file with all that the snapshot holds, as zstd-compressed tar, "
	"with digests of all of it. It can be loaded where its image is, or "
	"anywhere when it was saved --with-image.";

static const char snapshot_load_details[] =
	"Everything in the archive is checked against its digests before the "
	"snapshot appears; nothing is left of one that is damaged. It keeps "
	"its name unless NAME is given.";

static const struct command snapshot_commands[] = {
	ROW(snapshot_create, "create", NULL, "Commands", "<NAME>",
            "Keep what was written in a sandbox", snapshot_create_details, 1, 1,
            false),
	ROW(snapshot_list, "list", "ls", "Commands", "", "List snapshots", NULL,
            0, 0, false),
	ROW(snapshot_inspect, "inspect", NULL, "Commands", "<SNAPSHOT>",
            "Show all about a snapshot",
            "SNAPSHOT is a name, or 12 or more digits of a digest.", 1, 1,
            false),
	ROW(snapshot_verify, "verify", NULL, "Commands", "<SNAPSHOT>",
            "Read it all and compare it with its digest",
            "For snapshots that were made with --integrity.", 1, 1, false),
	ROW(snapshot_remove, "remove", "rm", "Commands", "<SNAPSHOTS>...",
            "Remove snapshots", snapshot_remove_details, 1, -1, false),
	ROW(snapshot_save, "save", NULL, "Commands", "<SNAPSHOT> <OUT>",
            "Write a snapshot to a file", snapshot_save_details, 2, 2, false),
	ROW(snapshot_load, "load", NULL, "Commands", "<ARCHIVE> [NAME]",
            "Read a snapshot from a file", snapshot_load_details, 1, 2, false),
	{0},
};

static const char volume_create_details[] =
	"A volume keeps files when sandboxes go, until msb volume rm. Mount it "
	"by its name: msb run -v NAME:/data IMAGE. A dir may be mounted by "
	"several sandboxes at once, which see each other's files; it takes "
	"what is in it, and at most --size. A disk has a file system of its "
	"own, is as fast as the root, and is of one sandbox at a time; it "
	"takes what was written to it.";

static const char volume_remove_details[] =
	"With all that is in them. One that a machine has mounted is always "
	"refused; one that only sandboxes on record mount needs --force.";

static const struct command volume_commands[] = {
	ROW(volume_create, "create", NULL, "Commands", "[VOLUME]",
            "Make a volume", volume_create_details, 0, 1, false),
	ROW(volume_list, "list", "ls", "Commands", "", "List volumes", NULL, 0,
            0, false),
	ROW(volume_inspect, "inspect", NULL, "Commands", "<VOLUME>",
            "Show all about a volume", NULL, 1, 1, false),
	ROW(volume_remove, "remove", "rm", "Commands", "<VOLUMES>...",
            "Remove volumes", volume_remove_details, 1, -1, false),
	ROW(volume_prune, "prune", NULL, "Commands", "",
            "Remove volumes that no sandbox mounts", NULL, 0, 0, false),
	{0},
};

static const char net_explain_details[] =
	"Which rule decides when the sandbox connects to HOST, a name or an "
	"address (or an http:// or https:// URL), and why. A machine that runs "
	"is asked: it knows which names its addresses have, and which "
	"addresses "
	"are this host's own. Otherwise its rules are judged as they are; they "
	"cannot know what a name stands for.\n"
	"\n"
	"Examples:\n"
	"  msb net explain box example.com:443\n"
	"  msb net explain box 169.254.169.254\n"
	"  msb net explain box --protocol udp 1.1.1.1:53";

static const char net_rules_details[] =
	"In the order in which they are asked: those of --net-rule, then those "
	"of --net, then what is allowed when none of them matches.";

static const struct command net_commands[] = {
	ROW(net_explain, "explain", NULL, "Commands", "<NAME> <HOST[:PORT]>",
            "Say which rule decides about a connection", net_explain_details, 2,
            2, false),
	ROW(net_rules, "rules", NULL, "Commands", "<NAME>",
            "Show what a sandbox may reach", net_rules_details, 1, 1, false),
	{0},
};

static const char mcp_details[] =
	"Speaks MCP on standard input and output, for the agent that starts "
	"it; "
	"docs/mcp.md says how to tell each agent. Sandboxes that it makes end "
	"with it, unless they were asked to be detached.\n"
	"\n"
	"What an agent may do is said here, never by the agent: paths of this "
	"host work below --allow-path only (the working folder, unless that is "
	"/), secrets are variables that --allow-secret names, and what removes "
	"something needs confirm: true in the call.\n"
	"\n"
	"Variables: MICROSANDBOX_MCP_HOST_PATHS (folders with colons), "
	"MICROSANDBOX_MCP_HOST_PATH_POLICY (allowlist, unrestricted), "
	"MICROSANDBOX_MCP_MAX_OUTPUT_BYTES, "
	"MICROSANDBOX_MCP_DEFAULT_TIMEOUT_MS, "
	"MICROSANDBOX_MCP_SESSION_TTL_MS; options go before them.\n"
	"\n"
	"Examples:\n"
	"  claude mcp add microsandbox -- msb mcp\n"
	"  msb mcp --allow-path ~/project --allow-secret GITHUB_TOKEN\n"
	"  msb mcp --read-only";

static const char skills_details[] =
	"The skill tells a coding agent when and how to use msb: Claude Code, "
	"Cursor, Codex, Gemini CLI, Copilot, and what else reads "
	".agents/skills. Without --for it is put in place for the agents whose "
	"folders are there, else into .agents/skills.\n"
	"\n"
	"Files that somebody changed stay, unless --force; those of another "
	"version of msb are replaced.\n"
	"\n"
	"Examples:\n"
	"  msb skills install\n"
	"  msb skills install --for claude-code --global";

static const struct command skills_commands[] = {
	ROW(skills_install, "install", NULL, "Commands", "",
            "Put the skill where coding agents look", skills_details, 0, 0,
            false),
	ROW(skills_list, "list", "ls", "Commands", "",
            "List where it is, here and in your home folder", NULL, 0, 0,
            false),
	ROW(skills_show, "show", NULL, "Commands", "[FILE]",
            "Print SKILL.md, or another file of the skill", NULL, 0, 1, false),
	ROW(skills_remove, "remove", "rm", "Commands", "", "Remove the skill",
            "What else is in its folder stays.", 0, 0, false),
	{0},
};

static const struct command self_commands[] = {
	ROW(doctor, "doctor", "check", "Commands", "",
            "Check whether this machine can run sandboxes",
            "Exits with 0 when a sandbox can run, else with 1.", 0, 0, false),
	ROW(self_uninstall, "uninstall", NULL, "Commands", "",
            "Remove msb and all its data", uninstall_details, 0, 0, false),
	{0},
};

static const struct command root_commands[] = {
	ROW(run, "run", NULL, "Sandboxes", "[IMAGE]",
            "Run a command in a fresh machine", run_details, 0, 1, true),
	ROW(exec, "exec", NULL, "Sandboxes", "<NAME>",
            "Run a command in a sandbox that runs", exec_details, 1, 1, true),
	ROW(shell, "shell", "sh", "Sandboxes", "<NAME>",
            "Open a shell in a sandbox, or run a script by it", shell_details,
            1, 1, true),
	ROW(copy, "copy", "cp", "Sandboxes", "<SOURCE> <TARGET>",
            "Copy files between here and a sandbox", copy_details, 2, 2, false),
	ROW(attach, "attach", NULL, "Sandboxes", "<NAME>",
            "Join a command in the background", attach_details, 1, 1, false),
	ROW(create, "create", NULL, "Sandboxes", "[IMAGE]",
            "Make a sandbox and boot it in the background", create_details, 0,
            1, false),
	ROW(start, "start", NULL, "Sandboxes", "[NAMES...]",
            "Start sandboxes that do not run",
            "Each runs in the background, with what was written in it before "
            "and with its main command if it has one.",
            0, -1, false),
	ROW(stop, "stop", NULL, "Sandboxes", "[NAMES...]", "Stop sandboxes",
            "Commands get SIGTERM, data is written, the machine ends; what is "
            "left after --timeout is killed. What was written in a sandbox "
            "stays until it is removed.",
            0, -1, false),
	ROW(restart, "restart", NULL, "Sandboxes", "[NAMES...]",
            "Stop sandboxes and start them again", NULL, 0, -1, false),
	ROW(kill, "kill", NULL, "Sandboxes", "[NAMES...]",
            "End sandboxes at once",
            "As pulling the plug: commands are not asked, and what they wrote "
            "last may be lost.",
            0, -1, false),
	ROW(modify, "modify", "mod", "Sandboxes", "<NAME>",
            "Change what a sandbox has", modify_details, 1, 1, false),
	ROW(list, "list", "ls", "Sandboxes", "", "List sandboxes", NULL, 0, 0,
            false),
	ROW(status, "status", "ps", "Sandboxes", "[NAME]",
            "Show what runs, with --all everything", NULL, 0, 1, false),
	ROW(inspect, "inspect", NULL, "Sandboxes", "<NAME>...",
            "Show all that is on record about sandboxes",
            "Configuration, life, engine, process, and which walls protect "
            "you from it.",
            1, -1, false),
	ROW(logs, "logs", NULL, "Sandboxes", "<NAME>",
            "Show what commands and the console wrote", logs_details, 1, 1,
            false),
	ROW(metrics, "metrics", NULL, "Sandboxes", "[NAME]",
            "Show what sandboxes use", metrics_details, 0, 1, false),
	ROW(ping, "ping", NULL, "Sandboxes", "[NAMES...]",
            "Ask whether sandboxes answer",
            "Prints how long the answer of the agent inside took. That holds "
            "off no --idle-timeout; --touch does.",
            0, -1, false),
	ROW(touch, "touch", NULL, "Sandboxes", "[NAMES...]",
            "Start the idle time limit of sandboxes anew", NULL, 0, -1, false),
	ROW(remove, "remove", "rm", "Sandboxes", "[NAMES...]",
            "Remove sandboxes and what was written in them",
            "Images stay. One that runs is refused without --force.", 0, -1,
            false),
	ROW(pull, "pull", NULL, "Images", "<IMAGE>",
            "Fetch an image from a registry", pull_details, 1, 1, false),
	ROW(commit, "commit", NULL, "Images", "<SANDBOX> <IMAGE>",
            "Make an image of what was written in a sandbox", commit_details, 2,
            2, false),
	ROW(load, "load", NULL, "Images", "", "Load images from an archive",
            load_details, 0, 0, false),
	ROW(save, "save", NULL, "Images", "<IMAGE>...",
            "Save images to an archive", save_details, 1, -1, false),
	GROUP("image", "Images", "Work with images", image_commands),
	{.name = "snapshot",
                                                                 .aliases = "snap",
                                                                 .group = "Snapshots",
                                                                 .usage = "",
                                                                 .summary = "Keep what was written in a sandbox, and begin new ones "
                    "with it", .sub = snapshot_commands},
	ROW(image_list, "images", NULL, NULL, "", "List images", NULL, 0, 0,
            false),
	ROW(image_remove, "rmi", NULL, NULL, "<IMAGE>...", "Remove images",
            NULL, 1, -1, false),
	{.name = "volume",
                                                                 .aliases = "vol",
                                                                 .group = "Volumes",
                                                                 .usage = "",
                                                                 .summary = "Keep files that sandboxes share and that stay when they "
                    "go", .sub = volume_commands},
	GROUP("net", "Network", "See what sandboxes may reach", net_commands),
	ROW(install, "install", NULL, "Other", "[IMAGE]",
            "Make a sandbox a command of yours", install_details, 0, 1, true),
	ROW(uninstall, "uninstall", NULL, "Other", "<NAMES>...",
            "Remove commands that msb install made", remove_launcher_details, 1,
            -1, false),
	ROW(launch, "launch", NULL, NULL, "[IMAGE]",
            "What a command made by msb install calls", NULL, 0, 1, true),
	ROW(doctor, "doctor", NULL, "Other", "",
            "Check whether this machine can run sandboxes",
            "Exits with 0 when a sandbox can run, else with 1.", 0, 0, false),
	ROW(mcp, "mcp", NULL, "Other", "",
            "Serve agents by the Model Context Protocol", mcp_details, 0, 0,
            false),
	GROUP("skills", "Other", "Tell coding agents how to use msb",
              skills_commands),
	GROUP("self", "Other", "Manage this installation", self_commands),
	ROW(completion, "completion", NULL, "Other", "<bash|zsh|fish>",
            "Print a completion script for a shell", completion_details, 1, 1,
            false),
	ROW(help, "help", NULL, "Other", "[COMMAND...]",
            "Show the help of a command", NULL, 0, -1, false),
	{0							},
};

const struct command command_root = {
	.name = "msb",
	.usage = "",
	.summary = "Run commands in their own small virtual machines",
	.details =
		"Variables: MSB_HOME (where sandboxes and images are kept, "
		"~/.microsandbox), MSB_LOG (error to trace, as the options), "
		"MSB_ENGINE (auto, kvm, qemu), MSB_ACCEL (tcg, kvm, auto: of "
		"the qemu engine), MSB_CONFIG_PATH (a file of defaults, "
		"config.json in MSB_HOME), MSB_BIN (where msb install "
		"writes), MSB_QEMU and MSB_RUNTIME (where QEMU is, and the "
		"folder of msb-vmm and the kernel), NO_COLOR.\n"
		"\n"
		"Defaults for all sandboxes are taken from "
		"~/.config/microsandbox/config.toml (in XDG_CONFIG_HOME where "
		"that is set), and a section for one of them goes before:\n"
		"  [sandbox_defaults]\n"
		"  cpus = 2\n"
		"  memory = \"1G\"\n"
		"  engine = \"auto\"\n"
		"  idle_timeout = \"10m\"\n"
		"  # also accel, shell, workdir, user, max_duration\n"
		"  [sandbox_defaults.env]\n"
		"  LANG = \"C.UTF-8\"\n"
		"  [sandbox.box]\n"
		"  memory = \"4G\"\n"
		"\n"
		"Programs may rather write config.json in MSB_HOME:\n"
		"  {\"sandbox_defaults\": {\"cpus\": 2, \"memory_mib\": "
		"1024}}\n"
		"\n"
		"What is said in several places: options go before files of "
		"--conf, these before variables, before [sandbox.NAME], before "
		"[sandbox_defaults], before config.json, before what is built "
		"in. msb doctor tells which files are used. They are read when "
		"a sandbox is made; one that is there keeps what it has.",
	.sub = root_commands,
};

static bool is_alias(const char *aliases, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = aliases; p && *p; p += *p == ' ') {
		size_t n = strcspn(p, " ");

		if (n == len && strncmp(p, word, n) == 0)
			return true;
		p += n;
	}
	return false;
}

const struct command *command_find(const struct command *group,
                                   const char *word)
{
	for (const struct command *c = group->sub; c && c->name; c++)
		if (strcmp(c->name, word) == 0 || is_alias(c->aliases, word))
			return c;
	return NULL;
}

void command_each(const struct command *c, const char *path,
                  void (*visit)(const struct command *c, const char *path))
{
	visit(c, path);
	for (const struct command *s = c->sub; s && s->name; s++) {
		char below[128];

		(void)snprintf(below, sizeof(below), "%s %s", path, s->name);
		command_each(s, below, visit);
	}
}

int cmd_help(struct cli *cli, void *values)
{
	const struct command *c = &command_root;
	char path[128] = "msb";

	(void)values;
	for (int i = 0; i < cli->nwords; i++) {
		size_t used = strlen(path);

		c = command_find(c, cli->words[i]);
		if (!c) {
			out_errorf("run 'msb help' for the list",
			           "unknown command '%s'", cli->words[i]);
			return EXIT_USAGE;
		}
		(void)snprintf(path + used, sizeof(path) - used, " %s",
		               c->name);
	}
	help_show(c, path);
	return EXIT_OK;
}
