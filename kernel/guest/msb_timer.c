// SPDX-License-Identifier: GPL-2.0
/*
 * What a machine without ACPI and RTC lacks: a way to power off, and three words for the kernel command line, for a
 * machine whose maker knows what the kernel would otherwise find out by waiting. Nothing changes when a word is
 * absent. build.sh adds this file to arch/x86/kernel; it is the only addition to Debian's source.
 *
 * Power-off         Without ACPI it would only halt the CPU, which nobody outside can tell from an idle one. A reset
 *                   ends the machine: with reboot=t it is a triple fault, and whoever runs us takes that for the end.
 *
 * lapic_timer_hz=N  The frequency of the local APIC timer. Without it the kernel measures that frequency against
 *                   the PIT for 100 ms and then checks the result for another 100 ms. QEMU and KVM count at
 *                   exactly 1 GHz.
 *
 * tsc_khz=N         The frequency of the time stamp counter, which under emulation is the host's. Without it the
 *                   kernel measures it against the PIT, which takes 20 ms, and on a busy host fails: the machine
 *                   then runs without a usable clock source. (tsc_early_khz= does not help: the kernel still
 *                   measures the "processor frequency" the same way.) kvmclock, where present, still wins.
 *
 * no_cmos_clock     There is no CMOS clock. Without it the kernel reads all ones from the absent ports, takes them
 *                   for "update in progress" and retries for a second. kvmclock, where present, still wins.
 */
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/pm.h>
#include <linux/reboot.h>
#include <linux/time64.h>
#include <asm/apic.h>
#include <asm/x86_init.h>

static int __init msb_lapic_timer_hz(char *arg)
{
	unsigned int hz;

	if (!arg || kstrtouint(arg, 10, &hz) || hz < 1000000)
		return -EINVAL;
	lapic_timer_period = hz / HZ;	/* counts in one tick; the calibration sees it set and is skipped */
	return 0;
}
early_param("lapic_timer_hz", msb_lapic_timer_hz);

static unsigned long msb_khz;

static unsigned long msb_known_khz(void)
{
	return msb_khz;
}

static int __init msb_tsc_khz(char *arg)
{
	unsigned int khz;

	if (!arg || kstrtouint(arg, 10, &khz) || khz < 100000)
		return -EINVAL;
	msb_khz = khz;
	x86_platform.calibrate_cpu = msb_known_khz;
	x86_platform.calibrate_tsc = msb_known_khz;
	return 0;
}
early_param("tsc_khz", msb_tsc_khz);

static void msb_get_no_wallclock(struct timespec64 *now)
{
	now->tv_sec = 0;		/* zero says "unknown": the clock starts at 1970 until the agent sets it */
	now->tv_nsec = 0;
}

static int msb_set_no_wallclock(const struct timespec64 *now)
{
	return -ENODEV;
}

static int __init msb_no_cmos_clock(char *arg)
{
	x86_platform.get_wallclock = msb_get_no_wallclock;
	x86_platform.set_wallclock = msb_set_no_wallclock;
	return 0;
}
early_param("no_cmos_clock", msb_no_cmos_clock);

static void msb_power_off(void)
{
	machine_emergency_restart();
}

static int __init msb_power_off_init(void)
{
	if (!pm_power_off)
		pm_power_off = msb_power_off;
	return 0;
}
core_initcall(msb_power_off_init);
