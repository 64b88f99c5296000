#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/num.h"
#include "cli/skills.h"

static const struct skill_agent *agent(const char *name)
{
	for (size_t i = 0; i < SKILL_AGENTS; i++)
		if (strcmp(skill_agents[i].name, name) == 0)
			return &skill_agents[i];
	fail_msg("no agent %s", name);
	return NULL;
}

static char *make_base(void)
{
	char path[] = "/tmp/msb-test-skills.XXXXXX";

	assert_non_null(mkdtemp(path));
	return strdup(path);
}

static void remove_base(char *base)
{
	assert_int_equal(dir_remove(AT_FDCWD, base), 0);
	free(base);
}

static void write_to(const char *folder, const char *name, const char *text)
{
	cleanup_free char *path = NULL;

	assert_true(asprintf(&path, "%s/%s", folder, name) > 0);
	assert_int_equal(
		file_write_atomic(AT_FDCWD, path, text, strlen(text), 0644), 0);
}

static void each_agent_has_its_places(void **state)
{
	static const struct {
		const char *agent, *project, *global;
	} rows[] = {
		{"claude-code", ".claude", ".claude" },
		{"cursor",      ".cursor", ".cursor" },
		{"codex",       ".agents", ".agents" },
		{"gemini-cli",  ".gemini", ".gemini" },
		{"copilot",     ".github", ".copilot"},
		{"agents",      ".agents", ".agents" },
	};
	static const char *const bases[] = {"/p", "/"};

	(void)state;
	(void)unsetenv("CLAUDE_CONFIG_DIR");
	assert_string_equal(SKILL_COMMON->name, "agents");
	for (size_t i = 0; i < ARRAY_SIZE(rows) * ARRAY_SIZE(bases); i++) {
		const char *base = bases[i % 2];
		const struct skill_agent *a = agent(rows[i / 2].agent);
		cleanup_free char *here = skill_place(a, SKILL_PROJECT, base);
		cleanup_free char *home = skill_place(a, SKILL_GLOBAL, base);
		char want[64];

		(void)snprintf(want, sizeof(want), "%s/%s/skills/microsandbox",
		               base[1] ? base : "", rows[i / 2].project);
		assert_string_equal(here, want);
		(void)snprintf(want, sizeof(want), "%s/%s/skills/microsandbox",
		               base[1] ? base : "", rows[i / 2].global);
		assert_string_equal(home, want);
	}
}

static void a_variable_moves_the_global_place_alone(void **state)
{
	const struct skill_agent *a = agent("claude-code");

	(void)state;
	(void)setenv("CLAUDE_CONFIG_DIR", "/c", 1);
	{
		cleanup_free char *home = skill_place(a, SKILL_GLOBAL, "/h");
		cleanup_free char *here = skill_place(a, SKILL_PROJECT, "/p");

		assert_string_equal(home, "/c/skills/microsandbox");
		assert_string_equal(here, "/p/.claude/skills/microsandbox");
	}
	(void)setenv("CLAUDE_CONFIG_DIR", "relative", 1);
	{
		cleanup_free char *home = skill_place(a, SKILL_GLOBAL, "/h");

		assert_string_equal(home, "/h/.claude/skills/microsandbox");
	}
	(void)unsetenv("CLAUDE_CONFIG_DIR");
}

static void agents_are_told_by_what_they_leave(void **state)
{
	char *base = make_base();

	(void)state;
	for (size_t i = 0; i < SKILL_AGENTS; i++)
		for (int s = 0; s < SKILL_SCOPES; s++)
			assert_false(skill_agent_used(
				&skill_agents[i], (enum skill_scope)s, base));
	write_to(base, "GEMINI.md", "x");
	assert_true(skill_agent_used(agent("gemini-cli"), SKILL_PROJECT, base));
	assert_false(skill_agent_used(agent("gemini-cli"), SKILL_GLOBAL, base));
	assert_false(skill_agent_used(agent("cursor"), SKILL_PROJECT, base));
	remove_base(base);
}

static void what_is_there_is_told_apart(void **state)
{
	char *base = make_base();
	cleanup_free char *place =
		skill_place(agent("cursor"), SKILL_PROJECT, base);
	struct err err = {0};

	(void)state;
	assert_int_equal(skill_look(place, &err), SKILL_ABSENT);
	assert_int_equal(skill_install(place, false, &err), SKILL_ABSENT);
	assert_int_equal(skill_look(place, &err), SKILL_CURRENT);
	assert_int_equal(skill_install(place, false, &err), SKILL_CURRENT);

	write_to(place, "SKILL.md", "mine");
	assert_int_equal(skill_look(place, &err), SKILL_CHANGED);
	assert_int_equal(skill_install(place, false, &err), -EEXIST);
	assert_non_null(strstr(err.msg, "SKILL.md"));
	assert_int_equal(skill_remove(place, false, &err), -EEXIST);
	assert_int_equal(skill_install(place, true, &err), SKILL_CHANGED);

	write_to(place, "SKILL.md", "mine");
	assert_int_equal(skill_remove(place, true, &err), SKILL_CHANGED);
	assert_int_equal(access(place, F_OK), -1);
	assert_int_equal(skill_remove(place, false, &err), SKILL_ABSENT);
	remove_base(base);
}

static void a_folder_of_others_is_left_alone(void **state)
{
	char *base = make_base();
	struct err err = {0};

	(void)state;
	write_to(base, "SKILL.md", "another skill of this name");
	write_to(base, "notes", "x");
	assert_int_equal(skill_install(base, false, &err), -EEXIST);
	assert_int_equal(skill_remove(base, false, &err), -EEXIST);
	assert_int_equal(skill_remove(base, true, &err), SKILL_CHANGED);
	assert_int_equal(skill_look(base, &err), SKILL_OUTDATED);
	remove_base(base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_agent_has_its_places),
		cmocka_unit_test(a_variable_moves_the_global_place_alone),
		cmocka_unit_test(agents_are_told_by_what_they_leave),
		cmocka_unit_test(what_is_there_is_told_apart),
		cmocka_unit_test(a_folder_of_others_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
