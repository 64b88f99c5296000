/* The note of Xen's x86/HVM direct boot ABI: without it, the 64-bit entry. */
	.section .note.pvh, "a", @note
	.balign 4
	.long 4, 4, 18
	.asciz "Xen"
	.long entry32
	.section .note.GNU-stack, "", @progbits
