/* describe_json.h - records as JSON: what --format json and MCP tools give. */
#ifndef FORMS_DESCRIBE_JSON_H
#define FORMS_DESCRIBE_JSON_H

#include <jansson.h>

#include "microsandbox.h"

/* NULL when memory is short, or a name is not UTF-8. */

/* All of one; @ports as describe_ports() made them, only looked at. */
json_t *describe_sandbox(const struct msb_sandbox_info *i, json_t *ports,
                         const struct msb_plan *pending);
/* What a list shows. */
json_t *describe_sandbox_row(const struct msb_sandbox_info *i, json_t *ports);

json_t *describe_image(const struct msb_image_info *i);
json_t *describe_image_whole(const struct msb_image_info *i);
json_t *describe_snapshot(const struct msb_snapshot_info *i);
json_t *describe_volume(const struct msb_volume_info *i);

/* Put the counters of a machine into an object. */
void describe_counters(const struct msb_metrics *m, json_t *to);

#endif
