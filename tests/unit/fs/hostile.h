/*
 * hostile.h - a share next to what must not be touched, and looks at both from
 * the host's side.
 */
#ifndef TEST_FS_HOSTILE_H
#define TEST_FS_HOSTILE_H

#include "driver.h"

#define CANARY "canary: nobody reads this\n"
#define INSIDE "inside: anybody reads this\n"

/*
 *	top/a, top/b        shares
 *	top/outside/secret  CANARY, watched by inotify, as is the folder
 */
struct world {
	struct driver d;
	uint64_t a, b; /* the shares' nodes */
	int a_fd, b_fd, out_fd, watch_fd;
};

int world_setup(void **state);
int world_teardown(void **state);
/* The same with other shares; @base: where. */
void world_open(struct world *w, const char *base,
                void (*tune)(struct driver *d));
void world_close(struct world *w);

/* Nobody opened, read or changed anything outside. */
void check_outside(struct world *w);

/*
 * All that can be seen of a tree on the host but access times, as text: paths,
 * types, modes, owners, sizes, links, times, attributes, contents.
 */
char *tree_text(int dir_fd);
/* No setuid, setgid, sticky, devices, fifos, sockets in it. */
void check_harmless(int dir_fd);

void host_file(int dir_fd, const char *name, const char *text);
/* The mode of a name on the host, not followed. */
uint32_t host_mode(int dir_fd, const char *name);

/* Mounts of this process's own: 0, or -1 where that is not allowed. */
int own_mounts(void);
/* Run in a child: its exit status; 77 when it has no mounts of its own. */
int in_child(int (*act)(void));

#endif
