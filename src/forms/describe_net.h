/* describe_net.h - a sandbox's network, as words and as JSON. */
#ifndef FORMS_DESCRIBE_NET_H
#define FORMS_DESCRIBE_NET_H

#include <jansson.h>

#include "base/buf.h"
#include "base/strv.h"
#include "microsandbox.h"

/*
 * Its published ports, as msb_sandbox_ports() has them: of one that runs, those
 * that it has; of another, those that it will ask for (host 0: any).
 */
json_t *describe_ports(struct msb_home *home, const struct msb_sandbox_info *i);

/* "127.0.0.1:8080->80/tcp, ...", all of them: a port that was picked is read
 * here. */
void describe_ports_text(const json_t *ports, struct buf *ret);

/* Lines for people, "NAME\tVALUE" each. */
int describe_network(const struct msb_network *n, struct strv *ret);

json_t *describe_network_json(const struct msb_network *n);

#endif
