// SPDX-License-Identifier: GPL-2.0
/*
 * "lapic_timer_hz=N" on the kernel command line: the frequency of the local APIC timer.
 *
 * Without it the kernel measures that frequency against the PIT for 100 ms and then checks the result for
 * another 100 ms; under emulation that is a third of the whole start. QEMU and KVM both count at exactly
 * 1 GHz, so whoever starts the machine can simply say so. Nothing changes when the word is absent.
 *
 * build.sh adds this file to arch/x86/kernel; it is the only change to Debian's source.
 */
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <asm/apic.h>

static int __init msb_lapic_timer_hz(char *arg)
{
	unsigned int hz;

	if (!arg || kstrtouint(arg, 10, &hz) || hz < 1000000)
		return -EINVAL;
	lapic_timer_period = hz / HZ;	/* counts in one tick; the calibration sees it set and is skipped */
	return 0;
}
early_param("lapic_timer_hz", msb_lapic_timer_hz);
