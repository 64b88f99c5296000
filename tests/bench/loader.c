/*
 * loader.c - first program of the peer's initramfs: load the modules that
 * Debian's cloud kernel needs, in the order of /modules/order, then become
 * our own /init.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv, char **envp)
{
	FILE *order = fopen("/modules/order", "re");
	char name[128], path[160];

	(void)argc;
	while (order && fgets(name, sizeof(name), order)) {
		int fd;

		name[strcspn(name, "\n")] = '\0';
		(void)snprintf(path, sizeof(path), "/modules/%s", name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || syscall(SYS_finit_module, fd, "", 0) < 0)
			perror(path);
		(void)close(fd);
	}
	(void)execve("/init", argv, envp);
	perror("/init");
	return 1;
}
