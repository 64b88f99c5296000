/*
 * What an msb-vmm that its guest has taken over may send to the library: any
 * packets. The input is a list of packets, each behind a length of two bytes.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "lib/machine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct machine m = MACHINE_INIT;
	struct err err = {0};
	int pair[2];

	if (size > 65536 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return 0;
	if (fd_set_nonblock(pair[0]) < 0 || fd_set_nonblock(pair[1]) < 0)
		abort();
	m.control = pair[0];
	while (size >= 2) {
		size_t n = get_le16(data);

		data += 2;
		size -= 2;
		n = MIN(n, size);
		if (n && fd_send(pair[1], data, n, NULL, 0) < 0)
			break;
		machine_process(&m);
		data += n;
		size -= n;
	}
	(void)close(pair[1]);
	machine_process(&m);
	if (!machine_has_ended(&m) || !m.hung_up ||
	    (machine_end_error(&m, &err) == 0) || err.msg[0] == '\0' ||
	    (m.console && strlen(m.console) > PROTO_CONSOLE_MAX))
		abort();
	machine_release(&m);
	return 0;
}
