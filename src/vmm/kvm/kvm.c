#include "vmm/kvm/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/num.h"
#include "vmm/kvm/loader.h"

#include "base/banned.h"

/* Three pages that Intel's KVM wants below 4 GiB, away from memory. */
#define TSS_ADDRESS 0xfffbd000ul

#define HUGE_PAGE  (2 * MIB)
#define GUARD      (2 * MIB) /* nothing is mapped so far around the memory */
#define EINTR_MAX  5
#define SMALL_PAGE 4096u

int kvm_call(struct kvm_vm *vm, int fd, unsigned long request, void *arg)
{
	uint64_t from = clock_now_ns();
	int r = ioctl(fd, request, arg);

	vm->ioctl_ns += clock_now_ns() - from;
	return r < 0 ? -errno : r;
}

/* A pending signal makes it fail: ask again, a few times. */
static int create_vm(struct kvm_vm *vm)
{
	int r = -EINTR;

	for (int i = 0; r == -EINTR && i < EINTR_MAX; i++)
		r = kvm_call(vm, vm->kvm_fd, KVM_CREATE_VM, NULL);
	if (r < 0)
		return r;
	vm->fd = r;
	(void)fcntl(vm->fd, F_SETFD, FD_CLOEXEC);
	r = kvm_call(vm, vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, NULL);
	if (r < (int)sizeof(struct kvm_run))
		return r < 0 ? r : -EPROTO;
	vm->run_len = (size_t)r;
	return kvm_call(vm, vm->fd, KVM_SET_TSS_ADDR, (void *)TSS_ADDRESS);
}

/*
 * Address space for the memory with nothing in front of it and behind it, so
 * that an offset gone wrong hits nothing; at a multiple of 2 MiB, so that host
 * and guest can both use huge pages. Zero pages come when they are touched.
 */
static int map_ram(struct kvm_vm *vm, uint64_t bytes, uint8_t **ret)
{
	size_t len = bytes + 2 * GUARD + HUGE_PAGE;
	uint8_t *base, *ram;

	base = mmap(NULL, len, PROT_NONE,
	            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return -errno;
	vm->ram = base;
	vm->ram_len = len;
	ram = (uint8_t *)num_align_up((uintptr_t)base + GUARD, HUGE_PAGE);
	if (mprotect(ram, bytes, PROT_READ | PROT_WRITE) < 0)
		return -errno;
	/* Never in a core dump: it is somebody's work. The name is for us. */
	(void)madvise(ram, bytes, MADV_DONTDUMP);
	(void)prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, ram, bytes, "guest-ram");
	*ret = ram;
	return 0;
}

static int add_slot(struct kvm_vm *vm, uint32_t slot, uint64_t gpa,
                    uint64_t len, uint8_t *host)
{
	struct kvm_userspace_memory_region region = {.slot = slot,
	                                             .guest_phys_addr = gpa,
	                                             .memory_size = len,
	                                             .userspace_addr =
	                                                     (uintptr_t)host};
	int r = guest_mem_add(&vm->mem, gpa, len, gpa, host);

	if (r < 0)
		return r;
	return kvm_call(vm, vm->fd, KVM_SET_USER_MEMORY_REGION, &region);
}

/* Below the devices' hole, and the rest above 4 GiB. */
static int add_ram(struct kvm_vm *vm, uint64_t bytes)
{
	uint64_t low = MIN(bytes, LOADER_HOLE);
	uint8_t *ram = NULL;
	int r;

	if (bytes == 0 || bytes % SMALL_PAGE)
		return -EINVAL;
	r = map_ram(vm, bytes, &ram);
	if (r == 0)
		r = add_slot(vm, 0, 0, low, ram);
	if (r == 0 && bytes > low)
		r = add_slot(vm, 1, LOADER_HOLE_END, bytes - low, ram + low);
	return r;
}

/*
 * The timer stays although Linux needs none here (TSC deadline, kvmclock): a
 * kernel without these two would hang. Its speaker bit is read by old ones.
 */
static int add_irqchip(struct kvm_vm *vm)
{
	struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY};
	int r = kvm_call(vm, vm->fd, KVM_CREATE_IRQCHIP, NULL);

	return r < 0 ? r : kvm_call(vm, vm->fd, KVM_CREATE_PIT2, &pit);
}

int kvm_vm_new(int kvm_fd, uint64_t bytes, struct kvm_vm *ret, struct err *err)
{
	struct kvm_vm vm = KVM_VM_INIT;
	int r;

	vm.kvm_fd = kvm_fd;
	r = create_vm(&vm);
	if (r < 0) {
		(void)err_set(err, r, "KVM cannot create a machine: %s",
		              strerror(-r));
	} else {
		r = add_ram(&vm, bytes);
		if (r < 0)
			(void)err_set(err, r, "cannot give it %llu MiB: %s",
			              (unsigned long long)(bytes / MIB),
			              strerror(-r));
	}
	if (r >= 0) {
		r = add_irqchip(&vm);
		if (r < 0)
			(void)err_set(err, r,
			              "KVM cannot make interrupt controllers: "
			              "%s",
			              strerror(-r));
	}
	if (r < 0) {
		kvm_vm_release(&vm);
		return r;
	}
	*ret = vm;
	return 0;
}

void kvm_vm_release(struct kvm_vm *vm)
{
	close_fd(&vm->fd);
	guest_mem_release(&vm->mem);
	if (vm->ram)
		(void)munmap(vm->ram, vm->ram_len);
	vm->ram = NULL;
}

int kvm_irqfd(struct kvm_vm *vm, int eventfd, uint32_t gsi)
{
	struct kvm_irqfd irq = {.fd = (uint32_t)eventfd, .gsi = gsi};

	return kvm_call(vm, vm->fd, KVM_IRQFD, &irq);
}

int kvm_ioeventfd(struct kvm_vm *vm, int eventfd, uint64_t gpa, uint32_t value)
{
	struct kvm_ioeventfd io = {.datamatch = value,
	                           .addr = gpa,
	                           .len = 4,
	                           .fd = eventfd,
	                           .flags = KVM_IOEVENTFD_FLAG_DATAMATCH};

	return kvm_call(vm, vm->fd, KVM_IOEVENTFD, &io);
}
