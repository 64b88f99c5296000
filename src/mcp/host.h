/* host.h - what resources tell as tools do. */
#ifndef MCP_HOST_H
#define MCP_HOST_H

#include <jansson.h>

#include "mcp/server.h"

int host_logs(struct mcp_call *c, const json_t *args, json_t **ret,
              struct msb_error *error);
int host_runtime(struct mcp_call *c, json_t **ret, struct msb_error *error);

/* resources.c */
json_t *resources_list(void);
json_t *resources_templates(void);
int resources_read(struct mcp_call *c, const char *uri, json_t **ret_text,
                   const char **ret_type, struct msb_error *error);

#endif
