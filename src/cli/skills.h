/*
 * skills.h - the agent skill that msb carries, and where coding agents look.
 *
 * The files of skills/microsandbox are in the program (skills_data.c is made by
 * the build). Installed, they are a folder "microsandbox" in an agent's folder
 * of skills, with a record beside them: what was put there, by its digest. So
 * an old version is told from one that somebody changed.
 */
#ifndef CLI_SKILLS_H
#define CLI_SKILLS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define SKILL_NAME "microsandbox"

struct skill_file {
	const char
		*path; /* below the skill's folder; one folder deep at most */
	const void *data;
	size_t len;
};

extern const struct skill_file skill_files[]; /* ends with no path */

enum skill_scope { SKILL_PROJECT, SKILL_GLOBAL, SKILL_SCOPES };

enum { SKILL_AGENTS = 6 };

struct skill_agent {
	const char *name;
	struct {
		const char *folder; /* of skills, below the project or $HOME */
		/* One that is there tells that the agent is in use. */
		const char *marks[3];
	} at[SKILL_SCOPES];
	/* Variable that names the parent of the global folder; NULL: none. */
	const char *env;
};

extern const struct skill_agent skill_agents[SKILL_AGENTS];

/* The agent that stands for all: what is said for none. */
#define SKILL_COMMON (&skill_agents[SKILL_AGENTS - 1])

/* Of a project's folder or $HOME; NULL and @err. Free it. */
char *skill_base(enum skill_scope scope, struct err *err);

/* The folder of our skill for @a; NULL without memory. Free it. */
char *skill_place(const struct skill_agent *a, enum skill_scope scope,
                  const char *base);

bool skill_agent_used(const struct skill_agent *a, enum skill_scope scope,
                      const char *base);

enum skill_state {
	SKILL_ABSENT,
	SKILL_CURRENT,
	SKILL_OUTDATED, /* as another msb put it there, or some of it is gone */
	SKILL_CHANGED,  /* somebody else wrote in it */
};

/* What is in @place; a negative errno when it cannot be told. */
int skill_look(const char *place, struct err *err);

/* What the next two would return, without doing it. */
int skill_check(const char *place, bool force, struct err *err);

/*
 * Put the files there, each as a whole. Changed ones are -EEXIST, and nothing
 * is touched, unless @force. Returns the state that was found.
 */
int skill_install(const char *place, bool force, struct err *err);

/*
 * Remove what skill_install() put there; changed files as above. What else is
 * in the folder stays, and so does the folder then.
 */
int skill_remove(const char *place, bool force, struct err *err);

#endif
