/*
 * Guests of our own (guest/) in the kvm engine, over the real /dev/kvm. Each
 * checks the machine from inside and says so in lines; here they are read.
 *
 * Usage: test_kvm PREFIX-OF-GUESTS [PATTERN]
 *
 * With KVM_TEXT in the environment, what was said is shown also when all is
 * well.
 */
#include "lib/test.h"

#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "machine.h"

#define LIMIT_MS 120000 /* the host may be busy */

#define ALL "disk disk vsock rng console balloon rng"

/* Texts that must be there, in any order. */
#define TEXTS_MAX 4

/* clang-format off */
static struct run {
	const char *name;
	struct machine m;
	bool stays; /* the guest does not say "done" */
	const char *texts[TEXTS_MAX];
} runs[] = {
	{.name = "hello_through_pvh",
	 .m = {.guest = "hello", .cmdline = "mib=64 entry=pvh"},
	 .texts = {"ok entry\n", "ok all memory is in the map\n"}},
	{.name = "hello_through_the_64_bit_entry",
	 .m = {.guest = "hello.64", .cmdline = "mib=64 entry=linux"},
	 .texts = {"ok entry\n", "ok all memory is in the map\n"}},
	{.name = "initramfs",
	 .m = {.guest = "hello",
	       .cmdline = "mib=65 initramfs=14",
	       .memory_mib = 65,
	       .initramfs = "first and last"},
	 .texts = {"ok initramfs' last word\n"}},
	{.name = "memory_above_4_gib",
	 .m = {.guest = "hello", .cmdline = "mib=5000", .memory_mib = 5000},
	 .texts = {"ok all memory is in the map\n"}},
	{.name = "initramfs_at_the_64_bit_entry",
	 .m = {.guest = "hello.64",
	       .cmdline = "mib=65 initramfs=14",
	       .memory_mib = 65,
	       .initramfs = "first and last"},
	 .texts = {"ok initramfs' last word\n"}},
	{.name = "memory_above_4_gib_at_the_64_bit_entry",
	 .m = {.guest = "hello.64", .cmdline = "mib=5000", .memory_mib = 5000},
	 .texts = {"ok all memory is in the map\n"}},
	{.name = "words_for_init_stay_last",
	 .m = {.guest = "hello",
	       .cmdline = "mib=64 -- words for init",
	       .devices = "rng"},
	 .texts = {" virtio_mmio.device=4K@0xd0000000:5 -- words for init\"\n"}},
	{.name = "ports_and_addresses",
	 .m = {.guest = "port"},
	 .texts = {"ok string of bytes to a port\n"}},

	{.name = "reset_ends_clean",
	 .m = {.guest = "fault", .cmdline = "mode=reset"},
	 .stays = true,
	 .texts = {"mode reset", "host: ended clean\n"}},
	{.name = "triple_fault_ends_clean",
	 .m = {.guest = "fault", .cmdline = "mode=triple"},
	 .stays = true,
	 .texts = {"mode triple", "host: ended clean\n"}},
	{.name = "triple_fault_of_another_processor_ends_all",
	 .m = {.guest = "fault", .cmdline = "mode=ap-triple", .cpus = 2},
	 .stays = true,
	 .texts = {"processor 1 faults\n", "host: ended clean\n"}},
	{.name = "jump_to_nowhere_is_told",
	 .m = {.guest = "fault", .cmdline = "mode=exec"},
	 .stays = true,
	 .texts = {"host: ended: "}},

	{.name = "halted_guest_can_be_killed",
	 .m = {.guest = "hang", .cmdline = "mode=halt"},
	 .stays = true,
	 .texts = {"ok host: killed at once\n", "host: ended clean\n"}},
	{.name = "spinning_guest_can_be_killed",
	 .m = {.guest = "hang", .cmdline = "mode=spin"},
	 .stays = true,
	 .texts = {"ok host: killed at once\n", "host: ended clean\n"}},
	{.name = "all_processors_can_be_killed",
	 .m = {.guest = "hang", .cmdline = "mode=all", .cpus = 4},
	 .stays = true,
	 .texts = {"ok host: killed at once\n", "host: ended clean\n"}},
	{.name = "freed_before_it_ran",
	 .m = {.guest = "hang",
	       .devices = ALL,
	       .cpus = 3,
	       .early = MACHINE_FREED_UNRUN},
	 .stays = true,
	 .texts = {"host: freed\n"}},
	{.name = "freed_at_once",
	 .m = {.guest = "hang",
	       .devices = ALL,
	       .cpus = 3,
	       .early = MACHINE_FREED_AT_ONCE},
	 .stays = true,
	 .texts = {"host: started\nhost: freed\n"}},
	{.name = "killed_at_once",
	 .m = {.guest = "hang",
	       .devices = ALL,
	       .cpus = 3,
	       .early = MACHINE_KILLED_AT_ONCE},
	 .stays = true,
	 .texts = {"host: ended clean\n", "host: freed\n"}},
	{.name = "pause_stops_the_guest",
	 .m = {.guest = "hang", .cmdline = "mode=ticks"},
	 .texts = {"ok host: silent while paused\n",
	           "ok the pause was noticed\n"}},

	{.name = "one_processor",
	 .m = {.guest = "smp", .cmdline = "cpus=1", .cpus = 1},
	 .texts = {"ok no count is lost\n"}},
	{.name = "two_processors",
	 .m = {.guest = "smp", .cmdline = "cpus=2", .cpus = 2},
	 .texts = {"ok no count is lost\n"}},
	{.name = "four_processors",
	 .m = {.guest = "smp", .cmdline = "cpus=4", .cpus = 4},
	 .texts = {"ok no count is lost\n"}},
	{.name = "eight_processors",
	 .m = {.guest = "smp", .cmdline = "cpus=8", .cpus = 8},
	 .texts = {"ok no count is lost\n"}},
	{.name = "four_processors_at_the_64_bit_entry",
	 .m = {.guest = "smp.64", .cmdline = "cpus=4", .cpus = 4},
	 .texts = {"ok no count is lost\n"}},

	{.name = "interrupts",
	 .m = {.guest = "irq", .devices = "rng rng"},
	 .texts = {"ok second is silent\n"}},
	{.name = "entropy",
	 .m = {.guest = "rng", .devices = "rng"}},
	{.name = "entropy_at_the_64_bit_entry",
	 .m = {.guest = "rng.64", .devices = "rng"}},
	{.name = "entropy_above_4_gib",
	 .m = {.guest = "rng", .devices = "rng", .memory_mib = 5000},
	 .texts = {"ok at the very end\n"}},
	{.name = "disks",
	 .m = {.guest = "blk",
	       .cmdline = "sectors=2048",
	       .devices = "disk disk"},
	 .texts = {"ok host: 0 wrong bytes in the file\n"}},
	{.name = "streams",
	 .m = {.guest = "vsock", .devices = "rng vsock"},
	 .texts = {"ok host: the guest answered \"hello host\"\n"}},
	{.name = "console",
	 .m = {.guest = "console", .devices = "console", .slow_console = true},
	 .texts = {"host: console bytes 1048651\n",
	           "hello from the console|in three pieces of text|....",
	           "....|that was 1 MiB|hello again|\n"}},
	{.name = "shared_files",
	 .m = {.guest = "fs", .devices = "fs"},
	 .texts = {"ok its bytes\n",
	           "ok host: the guest made \"from the guest\"\n"}},
	{.name = "network",
	 .m = {.guest = "net", .devices = "net"},
	 .texts = {"ok its MAC address\n", "ok refused\n"}},
	{.name = "memory_balloon",
	 .m = {.guest = "balloon", .devices = "balloon"},
	 .texts = {"ok host: balloon: inflated is 1048576, wanted 1048576\n",
	           "ok host: balloon: reported is 2097152, wanted 2097152\n",
	           "ok host: balloon: free is 11534336, wanted 11534336\n"}},

	{.name = "hostile_rings",
	 .m = {.guest = "hostile", .devices = ALL}},
	{.name = "hostile_rings_at_the_64_bit_entry",
	 .m = {.guest = "hostile.64", .devices = ALL}},
	{.name = "hostile_registers",
	 .m = {.guest = "regs", .devices = ALL}},
	{.name = "hostile_requests",
	 .m = {.guest = "abuse", .cmdline = "answer=2", .devices = ALL},
	 .texts = {"ok and reads\n",
	           "ok balloon after its own rings\n",
	           "ok by what its port makes of it\n"}},
	{.name = "resets_while_requests_are_under_way",
	 .m = {.guest = "flight", .devices = "disk rng"}},
	{.name = "processors_fight_over_the_devices",
	 .m = {.guest = "race", .devices = ALL, .cpus = 4}},
	{.name = "processors_fight_over_sixteen_devices",
	 .m = {.guest = "race",
	       .cmdline = "rounds=10",
	       .devices = "rng rng rng rng rng rng rng rng "
	                  "rng rng rng rng rng rng rng rng",
	       .cpus = 2}},
	{.name = "pauses_while_devices_are_reset",
	 .m = {.guest = "race",
	       .cmdline = "please=jolt seconds=3",
	       .devices = ALL,
	       .cpus = 3},
	 .texts = {" jolts\n"}},
	{.name = "end_while_devices_are_reset",
	 .m = {.guest = "race",
	       .cmdline = "please=kill seconds=100",
	       .devices = ALL,
	       .cpus = 3},
	 .stays = true,
	 .texts = {"ok host: killed at once\n", "host: freed\n"}},
};
/* clang-format on */

static const char *prefix; /* of the guests' file names */

static void say_all(const struct machine_result *r)
{
	for (const char *s = r->text; *s;) {
		size_t len = strcspn(s, "\n");

		print_message("%.*s\n", (int)len, s);
		s += len + (s[len] == '\n');
	}
}

static bool is_good(const struct run *run, const struct machine_result *r)
{
	bool good = !r->timed_out && r->status == 0;

	good = good && !strstr(r->text, "not ok");
	good = good && (run->stays || (strstr(r->text, "\ndone\n") &&
	                               strstr(r->text, "host: ended clean\n")));
	for (size_t i = 0; i < TEXTS_MAX && run->texts[i]; i++) {
		if (strstr(r->text, run->texts[i]))
			continue;
		print_message("there is no \"%s\"\n", run->texts[i]);
		good = false;
	}
	return good;
}

static void run_one(void **state)
{
	static struct machine_result r;
	struct run *run = *state;
	struct machine m = run->m;
	char path[4096];
	bool good;

	if (!machine_fits(&m))
		skip();
	snprintf(path, sizeof(path), "%s%s", prefix, m.guest);
	m.guest = path;
	machine_run(&m, LIMIT_MS, &r);
	good = is_good(run, &r);
	if (!good || getenv("KVM_TEXT"))
		say_all(&r);
	if (good)
		return;
	fail_msg("%s, wait status %#x",
	         r.timed_out ? "it did not end in time" : "it failed",
	         (unsigned)r.status);
}

int main(int argc, char **argv)
{
	struct CMUnitTest tests[ARRAY_SIZE(runs)];
	const char *why = machine_missing();

	if (argc < 2 || why) {
		printf("1..0 # SKIP /dev/kvm: %s\n", why ? why : "no guests");
		return 0;
	}
	prefix = argv[1];
	for (size_t i = 0; i < ARRAY_SIZE(runs); i++)
		tests[i] = (struct CMUnitTest){.name = runs[i].name,
		                               .test_func = run_one,
		                               .initial_state = &runs[i]};
	if (argc > 2)
		cmocka_set_test_filter(argv[2]);
	return cmocka_run_group_tests_name("kvm", tests, NULL, NULL);
}
