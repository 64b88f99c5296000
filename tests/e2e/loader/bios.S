/*
 * bios.S - a BIOS of 64 KiB that does what our monitor does with KVM's
 * registers: enter the kernel as ENTRY says, by the tables that the loader
 * wrote into memory. With LONG defined that is the 64-bit entry, else PVH.
 *
 * It lies at 0xf0000. Up to protected mode it has a table of its own, as the
 * loader's code segment may be a 64-bit one.
 */
#define BASE 0xf0000

	.code16
start:
	cli
	lgdtl	%cs:own
	mov	%cr0, %eax
	or	$1, %al
	mov	%eax, %cr0
	ljmpl	$0x8, $(BASE + protected)
	.code32
protected:
	mov	$0x10, %eax
	mov	%eax, %ds
	lgdt	(BASE + loaders)
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %fs
	mov	%eax, %gs
	mov	%eax, %ss
	mov	$0x8ff0, %esp
#ifdef LONG
	mov	$0x20, %eax
	mov	%eax, %cr4
	mov	$0x9000, %eax
	mov	%eax, %cr3
	mov	$0xc0000080, %ecx
	rdmsr
	or	$0x100, %eax
	wrmsr
	mov	%cr0, %eax
	or	$0x80000000, %eax
	mov	%eax, %cr0
	ljmpl	$0x8, $(BASE + long)
	.code64
long:
	mov	$0x7000, %esi
	mov	$ENTRY, %eax
	jmp	*%rax
#else
	ljmpl	$0x8, $(BASE + flat)
flat:
	mov	$0x11, %eax
	mov	%eax, %cr0
	mov	$0x6000, %ebx
	mov	$ENTRY, %eax
	jmp	*%eax
#endif

	.balign	8
table:
	.quad	0, 0x00cf9b000000ffff, 0x00cf93000000ffff
own:
	.word	23
	.long	BASE + table
loaders:
	.word	31
	.long	0x500

	.org	0xfff0
	.code16
	ljmp	$0xf000, $start
	.org	0xffff
	.byte	0
