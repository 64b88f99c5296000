/*
 * From whatever state a processor starts in to C in long mode, with tables of
 * our own: nothing that a loader made is used any more.
 *
 *	entry32   PVH: protected mode, paging off, ebx = hvm_start_info
 *	entry64   Linux' 64-bit entry: rsi = boot_params
 *	ap_start  SIPI: real mode, copied to AP_PAGE
 */
#define AP_PAGE  0x10000
#define STACK    0x4000
#define CPUS_MAX 8

#define CODE32 0x08
#define CODE64 0x10
#define DATA   0x18

	.macro long_mode to
	movl %cr4, %eax
	orl $0x20, %eax /* PAE */
	movl %eax, %cr4
	movl $pml4, %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx /* EFER */
	rdmsr
	orl $0x100, %eax /* LME */
	wrmsr
	movl %cr0, %eax
	orl $0x80000001, %eax
	movl %eax, %cr0
	ljmpl $CODE64, $\to
	.endm

	.macro data_segments
	movw $DATA, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	.endm

	.text
	.code32
	.globl entry32
entry32:
	cli
	cld
	lgdt gdt_pointer
	ljmpl $CODE32, $1f
1:	data_segments
	long_mode 2f

	.code64
2:	movl $0, %edi
	movl %ebx, %esi
	jmp begin

	.globl entry64
entry64:
	cli
	cld
	lgdt gdt_pointer
	movl $pml4, %eax
	movq %rax, %cr3
	movl $1, %edi
begin:
	movl $(stacks + STACK), %esp
	pushq $CODE64
	leaq 1f(%rip), %rax
	pushq %rax
	lretq
1:	data_segments
	xorl %ebp, %ebp
	call guest_start
	jmp .

/* ---- the other processors ---- */

	.code16
	.globl ap_start, ap_end
ap_start:
	cli
	lgdtl %cs:(ap_gdt_pointer - ap_start)
	movl %cr0, %eax
	orb $1, %al
	movl %eax, %cr0
	ljmpl $CODE32, $ap32
	.balign 4
ap_gdt_pointer:
	.word gdt_end - gdt - 1
	.long gdt
ap_end:

	.code32
ap32:
	data_segments
	long_mode ap64

	.code64
ap64:
	movl $1, %edi
	lock xaddl %edi, ap_number
	cmpl $CPUS_MAX, %edi
	jae .
	leal 1(%rdi), %esp
	shll $14, %esp
	leaq stacks(%rsp), %rsp
	xorl %ebp, %ebp
	call guest_start_ap
	jmp .

/* ---- exceptions and interrupts ---- */

	/* Each vector's entry is 16 bytes: an error code, real or 0; vector. */
	.globl trap_entries
	.balign 16
trap_entries:
	.set vector, 0
	.rept 64
	.balign 16
	.if (vector == 8 || (vector >= 10 && vector <= 14) || vector == 17)
	.else
	pushq $0
	.endif
	pushq $vector
	jmp trap_common
	.set vector, vector + 1
	.endr

trap_common:
	pushq %rax
	pushq %rcx
	pushq %rdx
	pushq %rsi
	pushq %rdi
	pushq %r8
	pushq %r9
	pushq %r10
	pushq %r11
	movq %rsp, %rdi
	cld
	call guest_trap
	popq %r11
	popq %r10
	popq %r9
	popq %r8
	popq %rdi
	popq %rsi
	popq %rdx
	popq %rcx
	popq %rax
	addq $16, %rsp
	iretq

/* ---- tables ---- */

	.data
	.balign 8
gdt:	.quad 0
	.quad 0x00cf9b000000ffff
	.quad 0x00af9b000000ffff
	.quad 0x00cf93000000ffff
gdt_end:
gdt_pointer:
	.word gdt_end - gdt - 1
	.quad gdt
	.globl ap_number
	.balign 4
ap_number:
	.long 1

	/* The first 8 GiB as they are, by pages of 2 MiB. */
	.balign 4096
pml4:	.quad pdpt + 3
	.fill 511, 8, 0
pdpt:	.set i, 0
	.rept 8
	.quad pd + i * 4096 + 3
	.set i, i + 1
	.endr
	.fill 504, 8, 0
pd:	.set i, 0
	.rept 8 * 512
	.quad (i << 21) + 0x83
	.set i, i + 1
	.endr

	.bss
	.balign 4096
stacks:	.skip STACK * CPUS_MAX
	.section .note.GNU-stack, "", @progbits
