/*
 * policy.h - what the one who started the server allows it: tools, folders of
 * the host, images, variables that secrets may come from.
 */
#ifndef MCP_POLICY_H
#define MCP_POLICY_H

#include <stdbool.h>

#include "mcp/mcp.h"
#include "microsandbox.h"

struct policy {
	const struct mcp_options *opt;
	struct strv roots; /* opt->paths as they really are */
};

/* -ENOENT names the folder that is not there. */
int policy_open(struct policy *p, const struct mcp_options *opt,
                struct err *err);
void policy_release(struct policy *p);

bool policy_has_tool(const struct mcp_options *opt, const char *name,
                     bool read_only);

/*
 * Where @path really is, links followed, which must be in one of the folders;
 * what does not exist yet must be there by its parent. *@ret_real is the
 * caller's. MSB_ERR_PERMISSION, MSB_ERR_NOT_FOUND.
 */
int policy_path(const struct policy *p, const char *path, char **ret_real,
                struct msb_error *error);
/* No more than whether it is lexically in one of the folders. */
bool policy_names(const struct policy *p, const char *path);

/*
 * The same, held fast: the folder that @path is in is open, reached from an
 * allowed one without a link, so that nobody who may write there can make it
 * another. @text is a path for as long as it is held.
 */
struct policy_pin {
	int fd;
	char text[320];
};
int policy_pin(const struct policy *p, const char *path, struct policy_pin *ret,
               struct msb_error *error);
void policy_unpin(struct policy_pin *pin);

/*
 * Whether who opens a path that was found allowed must refuse links in it:
 * between the look and the opening, a guest may put one there.
 */
bool policy_refuses_links(const struct policy *p);

/*
 * @reference is an image's, or a path, with its options: *@ret_real is the same
 * with the path as it really is, the caller's; @ret_real may be NULL.
 */
int policy_image(const struct policy *p, const char *reference, char **ret_real,
                 struct msb_error *error);
int policy_secret(const struct policy *p, const char *variable,
                  struct msb_error *error);

/*
 * Whether @pattern ("python", "ghcr.io/acme/" and a star, "python:3." and one)
 * is for @reference, both with docker's defaults; without a tag it is for all.
 */
bool policy_image_matches(const char *pattern, const char *reference);

#endif
