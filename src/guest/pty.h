/* pty.h - pseudo-terminals without a path that the guest could replace. */
#ifndef GUEST_PTY_H
#define GUEST_PTY_H

#include <stdint.h>

/* @pts_fd is the mount point of devpts. Both ends close-on-exec. */
int pty_open(int pts_fd, int *ret_master, int *ret_slave);

/* Set the size of the terminal behind @master; 0 means 24 and 80. */
int pty_resize(int master, uint16_t rows, uint16_t cols);

#endif
