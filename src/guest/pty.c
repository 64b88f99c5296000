#include "guest/pty.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"

#include "base/banned.h"

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

#define ROWS_DEFAULT 24
#define COLS_DEFAULT 80

int pty_open(int pts_fd, int *ret_master, int *ret_slave)
{
	cleanup_close int master =
		openat(pts_fd, "ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	int unlocked = 0, slave;

	if (master < 0)
		return -errno;
	if (ioctl(master, TIOCSPTLCK, &unlocked) < 0)
		return -errno;
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return -errno;
	*ret_slave = slave;
	*ret_master = take_fd(master);
	return 0;
}

int pty_resize(int master, uint16_t rows, uint16_t cols)
{
	struct winsize ws = {.ws_row = rows ? rows : ROWS_DEFAULT,
	                     .ws_col = cols ? cols : COLS_DEFAULT};

	return ioctl(master, TIOCSWINSZ, &ws) < 0 ? -errno : 0;
}
